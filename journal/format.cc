#include "journal/format.h"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <type_traits>

#include "base/crc32c.h"
#include "base/result.h"

namespace detent::format {

static_assert(std::endian::native == std::endian::little);

namespace {

struct SegmentFields {
  std::uint32_t magic = kSegmentMagic;
  std::uint32_t crc = 0;  // of all behind it, the ends included
  std::uint32_t version = kVersion;
  std::uint32_t ends = 0;
  std::uint64_t id = 0;
  std::uint64_t salt = 0;
  std::uint64_t chain = 0;
  std::uint64_t first = 0;
};
static_assert(sizeof(SegmentFields) == 48 && sizeof(SegmentEnd) == 32);

constexpr std::size_t kCovered = 8;  // magic and crc stand before what the crc covers

template <class Fields>
Fields take(const char* at) {
  static_assert(std::is_trivially_copyable_v<Fields>);
  Fields fields;
  std::memcpy(&fields, at, sizeof fields);
  return fields;
}

std::optional<SegmentHeader> decode_copy(std::string_view bytes, std::uint64_t id) {
  if (bytes.size() < sizeof(SegmentFields)) return std::nullopt;
  const auto fields = take<SegmentFields>(bytes.data());
  if (fields.version < kOldestVersion || fields.version > kVersion) return std::nullopt;
  if (fields.magic != kSegmentMagic || fields.id != id) return std::nullopt;
  const std::uint64_t size = sizeof(SegmentFields) + std::uint64_t{fields.ends} * sizeof(SegmentEnd);
  if (size > bytes.size() || fields.first != 2 * whole_sectors(size)) return std::nullopt;
  if (crc32c(0, bytes.data() + kCovered, size - kCovered) != fields.crc) return std::nullopt;
  SegmentHeader header{.id = id, .salt = fields.salt, .chain = fields.chain, .first = fields.first};
  header.ends.resize(fields.ends);
  if (fields.ends > 0) {
    std::memcpy(header.ends.data(), bytes.data() + sizeof(SegmentFields), fields.ends * sizeof(SegmentEnd));
  }
  return header;
}

std::uint32_t header_crc(const BatchHeader& header) {
  return crc32c(0, reinterpret_cast<const char*>(&header) + kCovered, sizeof header - kCovered);
}

}  // namespace

SegmentEnd newest_of(const std::vector<SegmentEnd>& ends) {
  SegmentEnd newest;
  for (const SegmentEnd& end : ends) {
    if (end.segment >= newest.segment) newest = end;
  }
  return newest;
}

std::string encode(SegmentHeader& header, std::uint32_t version) {
  const std::size_t size = sizeof(SegmentFields) + header.ends.size() * sizeof(SegmentEnd);
  header.first = 2 * whole_sectors(size);
  SegmentFields fields{.version = version,
                       .ends = static_cast<std::uint32_t>(header.ends.size()),
                       .id = header.id,
                       .salt = header.salt,
                       .chain = header.chain,
                       .first = header.first};
  std::string bytes(header.first, '\0');
  std::memcpy(bytes.data(), &fields, sizeof fields);
  if (!header.ends.empty()) {
    std::memcpy(bytes.data() + sizeof fields, header.ends.data(), header.ends.size() * sizeof(SegmentEnd));
  }
  fields.crc = crc32c(0, bytes.data() + kCovered, size - kCovered);
  std::memcpy(bytes.data(), &fields, sizeof fields);
  std::memcpy(bytes.data() + header.first / 2, bytes.data(), size);
  return bytes;
}

std::optional<SegmentHeader> decode_segment_header(std::string_view bytes, std::uint64_t id) {
  for (std::size_t at = 0; at < bytes.size(); at += kSector) {
    auto header = decode_copy(bytes.substr(at), id);
    if (header && (at == 0 || at == header->first / 2)) return header;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> later_version(std::string_view bytes) {
  if (bytes.size() < sizeof(SegmentFields)) return std::nullopt;
  const auto fields = take<SegmentFields>(bytes.data());
  const std::uint64_t size = sizeof fields + std::uint64_t{fields.ends} * sizeof(SegmentEnd);
  if (fields.magic != kSegmentMagic || fields.version <= kVersion || size > bytes.size()) return std::nullopt;
  if (crc32c(0, bytes.data() + kCovered, size - kCovered) != fields.crc) return std::nullopt;
  return fields.version;
}

BatchHeader seal(char* bytes, std::size_t size, std::uint32_t count, const SegmentHeader& segment, std::uint64_t offset,
                 std::uint64_t chain, std::uint64_t records_before) {
  BatchHeader header{.salt = segment.salt,
                     .segment = segment.id,
                     .offset = offset,
                     .chain = chain,
                     .records_before = records_before,
                     .length = static_cast<std::uint32_t>(size - sizeof(BatchHeader)),
                     .count = count};
  std::size_t at = sizeof header;
  while (at < size) {
    RecordHeader record = record_header(bytes + at);
    CHECK(record.length > 0 && at + sizeof record + record.length <= size, "a batch is made of whole records");
    record.crc =
        record_crc(segment.salt, static_cast<std::uint32_t>(offset + at), {bytes + at + sizeof record, record.length});
    std::memcpy(bytes + at, &record, sizeof record);
    header.body_crc = crc32c(header.body_crc, &record, sizeof record);
    at += sizeof record + record.length;
  }
  header.crc = header_crc(header);
  std::memcpy(bytes, &header, sizeof header);
  return header;
}

std::optional<BatchHeader> decode_batch_header(std::string_view bytes, const SegmentHeader& segment,
                                               std::uint64_t offset) {
  if (bytes.size() < sizeof(BatchHeader)) return std::nullopt;
  if (take<std::uint32_t>(bytes.data()) != kBatchMagic) return std::nullopt;
  const auto header = take<BatchHeader>(bytes.data());
  if (header.salt != segment.salt || header.segment != segment.id || header.offset != offset) return std::nullopt;
  if (header_crc(header) != header.crc) return std::nullopt;
  return header;
}

bool body_is_whole(const BatchHeader& header, std::string_view batch) {
  const std::size_t size = sizeof header + header.length;
  if (batch.size() < size) return false;
  std::uint32_t body = 0, count = 0;
  std::size_t at = sizeof header;
  while (at < size) {
    if (size - at < sizeof(RecordHeader)) return false;
    const RecordHeader record = record_header(batch.data() + at);
    if (record.length == 0 || record.length > size - at - sizeof record) return false;
    const auto place = static_cast<std::uint32_t>(header.offset + at);
    if (record_crc(header.salt, place, batch.substr(at + sizeof record, record.length)) != record.crc) return false;
    body = crc32c(body, &record, sizeof record);
    at += sizeof record + record.length;
    ++count;
  }
  return count == header.count && body == header.body_crc;
}

std::uint64_t chain_after(const BatchHeader& header) { return XXH3_64bits(&header, sizeof header); }

std::uint32_t record_crc(std::uint64_t salt, std::uint32_t offset, std::string_view bytes) {
  const std::uint64_t place[2] = {salt, offset | static_cast<std::uint64_t>(bytes.size()) << 32};
  return crc32c(crc32c(0, place, sizeof place), bytes.data(), bytes.size());
}

RecordHeader record_header(const char* at) { return take<RecordHeader>(at); }

std::string segment_name(std::uint64_t id) { return fmt::format("{:012}.segment", id); }

std::optional<std::uint64_t> segment_of(std::string_view name) {
  constexpr std::string_view suffix = ".segment";
  if (!name.ends_with(suffix)) return std::nullopt;
  std::uint64_t id = 0;
  const char* const end = name.data() + name.size() - suffix.size();
  const auto [stop, bad] = std::from_chars(name.data(), end, id);
  if (bad != std::errc{} || stop != end || id == 0 || segment_name(id) != name) return std::nullopt;
  return id;
}

}  // namespace detent::format
