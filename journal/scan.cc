#include "journal/scan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstring>

namespace detent {

using format::BatchHeader;
using format::kSector;
using format::RecordHeader;
using format::whole_sectors;

namespace {
// How far behind a damaged first header its records are looked for: about the largest batch under load.
constexpr std::uint64_t kBlindReach = 1 << 20;
}  // namespace

Result<std::string_view> Window::get(File& file, std::uint64_t offset, std::uint64_t length, std::uint64_t limit) {
  if (offset >= limit) return std::string_view();
  length = std::min(length, limit - offset);
  if (offset < start_ || offset + length > start_ + held_) {
    const auto want = std::min(std::max<std::uint64_t>(length, size_), limit - offset);
    if (want > capacity_) {
      bytes_ = std::make_unique_for_overwrite<char[]>(want);
      capacity_ = want;
    }
    held_ = 0;
    auto got = file.read(offset, {bytes_.get(), static_cast<std::size_t>(want)});
    if (!got) return got.error();
    start_ = offset;
    held_ = *got;
  }
  return std::string_view(bytes_.get() + (offset - start_), std::min(length, start_ + held_ - offset));
}

SegmentScan::SegmentScan(File& file, const format::SegmentHeader& header, std::uint64_t limit, std::uint64_t synced_to,
                         std::optional<std::uint64_t> records_synced, std::size_t window)
    : file_(file),
      segment_{.id = header.id, .salt = header.salt, .chain = header.chain, .first = header.first},
      limit_(limit),
      synced_to_(synced_to),
      records_synced_(records_synced),
      window_(window),
      position_(header.first),
      chain_(header.chain) {}

Result<SegmentScan::Found> SegmentScan::next() {
  for (;;) {
    if (body_at_ < body_.size()) {
      const RecordHeader record = format::record_header(body_.data() + body_at_);
      record_offset_ = static_cast<std::uint32_t>(batch_->offset + body_at_);
      record_ = body_.substr(body_at_ + sizeof record, record.length);
      body_at_ += sizeof record + record.length;
      return Found::kRecord;
    }
    if (saved_at_ < saved_.size()) {
      const Piece piece = saved_[saved_at_];
      auto bytes = get(piece.offset + sizeof(RecordHeader), piece.length);
      if (!bytes) return bytes.error();
      ++saved_at_;
      record_offset_ = piece.offset;
      record_ = *bytes;
      return Found::kRecord;
    }
    if (position_ >= limit_) return Found::kEnd;
    auto header = header_at(position_);
    if (!header) return header.error();
    if (*header && chain_known_ && (*header)->chain != chain_) {
      const auto gap = (*header)->records_before > records_ ? (*header)->records_before - records_ : 0;
      lost_ = {.offset = position_, .records = gap, .why = "the chain is broken here"};
      chain_ = (*header)->chain;
      return Found::kLost;
    }
    if (*header) {
      auto taken = take_batch(**header);
      if (!taken) return taken.error();
      if (*taken) continue;
    }
    return pass_damage(*header);
  }
}

Result<std::optional<BatchHeader>> SegmentScan::header_at(std::uint64_t offset) {
  auto bytes = get(offset, sizeof(BatchHeader));
  if (!bytes) return bytes.error();
  return {boost::system::in_place_value, format::decode_batch_header(*bytes, segment_, offset)};
}

Result<std::optional<BatchHeader>> SegmentScan::header_after(std::uint64_t offset) {
  constexpr std::uint64_t kBite = 256 << 10;
  for (offset = whole_sectors(offset); offset < limit_; offset += kBite) {
    auto bytes = get(offset, kBite);
    if (!bytes) return bytes.error();
    for (std::uint64_t at = 0; at < bytes->size(); at += kSector) {
      if (auto header = format::decode_batch_header(bytes->substr(at), segment_, offset + at)) {
        return {boost::system::in_place_value, header};
      }
    }
    if (bytes->size() < kBite) break;
  }
  return {boost::system::in_place_value, std::nullopt};
}

Result<bool> SegmentScan::take_batch(const BatchHeader& header) {
  if (header.offset + sizeof header + header.length > limit_) return false;
  auto bytes = get(header.offset, sizeof header + std::uint64_t{header.length});
  if (!bytes) return bytes.error();
  if (!format::body_is_whole(header, *bytes)) return false;
  batch_ = header;
  body_ = *bytes;
  body_at_ = sizeof header;
  position_ = header.end();
  chain_ = format::chain_after(header);
  chain_known_ = true;
  records_ = header.records_before + header.count;
  records_known_ = true;
  return true;
}

Result<SegmentScan::Found> SegmentScan::pass_damage(const std::optional<BatchHeader>& header) {
  auto later = header_after(header ? header->end() : position_ + kSector);
  if (!later) return later.error();
  const auto& witness = *later;
  if (!witness && position_ >= synced_to_) {
    auto used = last_used_byte(position_);
    if (!used) return used.error();
    torn_to_ = *used;
    return Found::kEnd;
  }

  std::uint64_t end = limit_;
  if (witness) {
    end = witness->offset;
  } else if (synced_to_ < limit_ && header) {
    end = std::min(limit_, header->end());
  } else if (synced_to_ < limit_ && records_synced_) {
    end = synced_to_;
  } else if (synced_to_ < limit_) {
    auto used = last_used_byte(position_);
    if (!used) return used.error();
    end = std::min(limit_, whole_sectors(std::max(synced_to_, std::min(*used, position_ + kBlindReach))));
  }
  if (auto saved = save_records(position_ + sizeof(BatchHeader), end); !saved) {
    saved_.clear();  // all of it is looked through again
    return saved.error();
  }

  std::optional<std::uint64_t> records;
  if (witness) {
    records = witness->records_before;
  } else if (end == synced_to_ && records_synced_) {
    records = records_synced_;
  } else if (header) {
    records = header->records_before + header->count;
  }
  const std::uint64_t got = records_ + saved_.size();
  lost_ = {.offset = position_, .bytes = end - position_, .records_known = records && *records >= got};
  if (lost_.records_known) lost_.records = *records - got;
  lost_.why = fmt::format("{} between synced batches; {} of its records could be saved",
                          header ? "a damaged batch" : "damaged bytes", saved_.size());
  records_known_ = lost_.records_known;
  records_ = records_known_ ? *records : got;
  if (witness) {
    chain_ = witness->chain;
  } else if (header) {
    chain_ = format::chain_after(*header);
  } else {
    chain_known_ = false;
  }
  position_ = end;
  return Found::kLost;
}

Result<void> SegmentScan::save_records(std::uint64_t begin, std::uint64_t end) {
  body_ = {};
  body_at_ = 0;
  saved_.clear();
  saved_at_ = 0;
  // A damaged length leads nowhere; damaged bytes behind a good length cost their own record alone.
  for (std::uint64_t at = begin; at + sizeof(RecordHeader) < end;) {
    auto bytes = get(at, sizeof(RecordHeader));
    if (!bytes) return bytes.error();
    if (bytes->size() < sizeof(RecordHeader)) break;
    const RecordHeader record = format::record_header(bytes->data());
    if (record.length == 0 || record.length > end - at - sizeof record) break;
    bytes = get(at + sizeof record, record.length);
    if (!bytes) return bytes.error();
    const auto offset = static_cast<std::uint32_t>(at);
    if (bytes->size() == record.length && format::record_crc(segment_.salt, offset, *bytes) == record.crc) {
      saved_.push_back({offset, record.length});
    }
    at += sizeof record + record.length;
  }
  return {};
}

Result<std::uint64_t> SegmentScan::last_used_byte(std::uint64_t begin) {
  constexpr std::uint64_t kBite = 256 << 10;
  std::uint64_t last = 0;
  for (std::uint64_t offset = begin; offset < limit_; offset += kBite) {
    auto bytes = get(offset, kBite);
    if (!bytes) return bytes.error();
    const auto used = bytes->find_last_not_of('\0');
    if (used != std::string_view::npos) last = offset + used + 1;
    if (bytes->size() < kBite) break;
  }
  return last;
}

}  // namespace detent
