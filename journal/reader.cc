#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>

#include "journal/catalog.h"
#include "journal/journal.h"
#include "journal/scan.h"

namespace detent {

using format::RecordHeader;

struct JournalReader::State {
  std::shared_ptr<Catalog> catalog;
  Window window;
  std::uint64_t segment = 0;
  std::unique_ptr<File> file;
};

JournalReader::JournalReader(std::shared_ptr<Catalog> catalog, std::size_t window)
    : state_(new State{std::move(catalog), Window(window), 0, nullptr}) {}
JournalReader::~JournalReader() = default;

Result<std::string_view> JournalReader::read(const RecordPosition& place) {
  State& s = *state_;
  const auto gone = [&] { return Error{fmt::format("segment {} of the journal was dropped", place.segment), ENOENT}; };
  const auto segment = s.catalog->find(place.segment);
  if (!segment) return gone();
  if (s.segment != place.segment || !s.file) {
    auto file = s.catalog->disk.open(s.catalog->path_of(place.segment), OpenMode::kRead);
    if (!file) return file.error();
    s.file = std::move(*file);
    s.segment = place.segment;
    s.window.forget();
  }
  const std::uint64_t whole = sizeof(RecordHeader) + place.length;
  auto bytes = s.window.get(*s.file, place.offset, whole, segment->end);
  if (!bytes) return bytes.error();
  if (bytes->size() == whole) {
    const RecordHeader header = format::record_header(bytes->data());
    const std::string_view record = bytes->substr(sizeof header);
    if (header.length == place.length && header.crc == format::record_crc(segment->header.salt, place.offset, record)) {
      return record;
    }
  }
  s.window.forget();
  if (!s.catalog->find(place.segment)) return gone();
  return Error{fmt::format("the record at offset {} of {} is damaged", place.offset, s.catalog->path_of(place.segment)),
               EBADMSG};
}

struct JournalTail::State {
  std::shared_ptr<Catalog> catalog;
  std::size_t window;
  RecordPosition from;
  std::uint64_t next_segment;
  std::uint64_t segment = 0;  // 0: none open
  std::unique_ptr<File> file;
  std::optional<SegmentScan> scan;
  format::SegmentEnd before;  // of the segment before this one
  std::uint64_t first = 0;    // where this one's first batch begins

  /// A copied batch is a segment's first, and lay where the one before it ends. What is first without being a copy is
  /// told the same way: nothing else is said to be there.
  RecordPosition origin_of(const RecordPosition& place) const {
    const auto& batch = scan->batch();
    const std::uint64_t there = before.end + (place.offset - first);
    if (!before.segment || !batch || batch->offset != first || there > UINT32_MAX) return place;
    return {before.segment, static_cast<std::uint32_t>(there), place.length};
  }

  void leave() {
    scan.reset();
    file.reset();
    next_segment = segment + 1;
    segment = 0;
  }
};

JournalTail::JournalTail(std::shared_ptr<Catalog> catalog, const RecordPosition& from, std::size_t window)
    : state_(new State{std::move(catalog), window, from, from.segment, 0, nullptr, std::nullopt}) {}
JournalTail::~JournalTail() = default;

Result<std::optional<JournalTail::Record>> JournalTail::next(const LogPosition& synced) {
  State& s = *state_;
  for (;;) {
    if (!s.scan) {
      const auto segment = s.catalog->at_or_after(s.next_segment);
      if (!segment || segment->header.id > synced.segment || s.next_segment > synced.segment)
        return {boost::system::in_place_value, std::nullopt};
      auto file = s.catalog->disk.open(s.catalog->path_of(segment->header.id), OpenMode::kRead);
      if (!file && !s.catalog->find(segment->header.id)) continue;
      if (!file) {
        if (is_lost(file.error())) s.next_segment = segment->header.id + 1;
        return file.error();
      }
      s.file = std::move(*file);
      s.segment = segment->header.id;
      s.before = segment->before;
      s.first = segment->header.first;
      s.scan.emplace(*s.file, segment->header, segment->header.first, segment->header.first, std::nullopt, s.window);
    }
    const auto segment = s.catalog->find(s.segment);
    if (!segment) {
      s.leave();
      continue;
    }
    if (s.segment > synced.segment) return {boost::system::in_place_value, std::nullopt};
    const bool is_last = s.segment == synced.segment;
    s.scan->extend(is_last ? std::min(synced.offset, segment->end) : segment->end);
    auto found = s.scan->next();
    if (!found) return found.error();
    switch (*found) {
      case SegmentScan::Found::kRecord: {
        const RecordPosition place{s.segment, s.scan->offset(), static_cast<std::uint32_t>(s.scan->bytes().size())};
        if (place < s.from) continue;
        return {boost::system::in_place_value, Record{place, s.origin_of(place), s.scan->bytes()}};
      }
      case SegmentScan::Found::kLost: {
        if (!s.catalog->find(s.segment)) {
          s.leave();
          continue;
        }
        const Lost& lost = s.scan->lost();
        return Error{fmt::format("{}: {} bytes from offset {} are damaged, {} records lost: {}",
                                 s.catalog->path_of(s.segment), lost.bytes, lost.offset, lost.records, lost.why),
                     EBADMSG};
      }
      case SegmentScan::Found::kEnd:
        if (is_last) return {boost::system::in_place_value, std::nullopt};
        s.leave();
    }
  }
}

}  // namespace detent
