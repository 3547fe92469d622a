#include "journal/recovery.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "journal/scan.h"

namespace detent {

namespace {

// The bytes of a torn tail that are left in the file for a person to look at; a batch that was under way fits.
constexpr std::uint64_t kTornKept = 1 << 20;
constexpr std::uint64_t kMaxHeader = 8 << 20;

Result<std::optional<format::SegmentHeader>> read_header(File& file, std::uint64_t segment, std::uint64_t size) {
  for (const std::uint64_t reach : {std::uint64_t{64} << 10, kMaxHeader}) {
    std::string bytes(std::min(size, reach), '\0');
    auto got = file.read(0, bytes);
    if (!got) return got.error();
    bytes.resize(*got);
    if (auto header = format::decode_segment_header(bytes, segment)) return {boost::system::in_place_value, header};
    if (const auto version = format::later_version(bytes)) {
      return Error{fmt::format("segment {} has format {}, written by a later version of Detent: run that one", segment,
                               *version),
                   EPROTO};
    }
  }
  return {boost::system::in_place_value, std::nullopt};
}

}  // namespace

Recovery::Recovery(Disk& disk, const std::string& directory, const JournalOptions& options,
                   const JournalVisitor& visitor)
    : disk_(disk), directory_(directory), options_(options), visitor_(visitor), quarantine_(disk, directory) {}

Result<void> Recovery::look(const std::vector<std::string>& names, Catalog& catalog) {
  auto snapshot = read_snapshot(disk_, directory_, names, quarantine_, [&](const Damage& d) { report(d); });
  if (!snapshot) return snapshot.error();
  if (*snapshot) {
    snapshot_at_ = (*snapshot)->at;
    snapshot_before_ = (*snapshot)->before;
    next_segment_ = std::max(next_segment_, snapshot_at_->segment + 1);
  }

  bool any = false;
  for (const std::string& name : names) {
    const auto segment = format::segment_of(name);
    if (!segment) continue;
    any = true;
    next_segment_ = std::max(next_segment_, *segment + 1);
    if (auto taken = take_header(*segment, catalog); !taken) return taken;
  }
  if (*snapshot && !any) {
    report({.file = directory_,
            .segment = snapshot_at_->segment,
            .records_known = false,
            .why = "there is a snapshot, but not one segment: they were removed, or the directory is another one"});
  }
  for (const std::uint64_t segment : without_header_) {
    const std::string name = format::segment_name(segment);
    Damage damage{
        .file = name, .segment = segment, .records_known = false, .why = "both copies of its header are damaged"};
    for (const auto& end : ends_) {
      if (end.segment != segment) continue;
      damage.bytes = end.end;
      damage.records_known = end.records != format::kUnknownRecords;
      damage.records = damage.records_known ? end.records : 0;
    }
    damage.kept = quarantine_.move(name, damage.why).path;
    report(damage);
  }

  if (!catalog.segments.empty()) last_ = catalog.segments.rbegin()->first;
  for (auto& [id, segment] : catalog.segments) {
    if (auto found = find_end(segment, id == last_); !found) return found;
  }
  for (const auto& end : ends_) next_segment_ = std::max(next_segment_, end.segment + 1);
  if (*snapshot && visitor_.snapshot) visitor_.snapshot((*snapshot)->bytes);
  return {};
}

Result<void> Recovery::take_header(std::uint64_t segment, Catalog& catalog) {
  auto file = disk_.open(catalog.path_of(segment), OpenMode::kRead);
  if (!file) return file.error();
  auto size = (*file)->size();
  if (!size) return size.error();
  auto header = read_header(**file, segment, *size);
  if (!header) return header.error();
  if (!*header) {
    without_header_.push_back(segment);
    return {};
  }
  for (const auto& end : (*header)->ends) {
    const bool known = std::any_of(ends_.begin(), ends_.end(), [&](const auto& e) { return e.segment == end.segment; });
    if (!known) ends_.push_back(end);
  }
  const format::SegmentEnd before = format::newest_of((*header)->ends);
  (*header)->ends.clear();
  catalog.segments[segment] = {.header = **header, .before = before, .file_bytes = *size};
  return {};
}

// A segment's end stands in the header of every later one. Where there is none it is looked for: all that parses, but
// for the last batch of the last segment, unless a snapshot names it as synced or it came with the segment itself.
Result<void> Recovery::find_end(Catalog::Segment& segment, bool last) {
  for (const auto& end : ends_) {
    if (end.segment != segment.header.id) continue;
    segment.end = end.end;
    segment.chain = end.chain;
    segment.records_known = end.records != format::kUnknownRecords;
    segment.records = segment.records_known ? end.records : 0;
    return {};
  }
  const std::string path = directory_ + "/" + format::segment_name(segment.header.id);
  auto file = disk_.open(path, OpenMode::kRead);
  if (!file) return file.error();
  const bool marked = snapshot_at_ && snapshot_at_->segment == segment.header.id;
  const std::uint64_t synced_to = std::max(segment.header.first + 1, marked ? snapshot_at_->offset : 0);
  const std::uint64_t limit = std::max(segment.file_bytes, format::whole_sectors(synced_to));
  const auto records = marked ? std::optional(snapshot_at_->records) : std::nullopt;
  SegmentScan scan(**file, segment.header, limit, synced_to, records, options_.scan_window);
  for (;;) {
    auto found = scan.next();
    if (!found) return found.error();
    if (*found == SegmentScan::Found::kEnd) break;
    if (*found == SegmentScan::Found::kLost) segment.suspect = true;
  }
  segment.end = scan.position();
  segment.chain = scan.chain();
  segment.records = scan.records();
  segment.records_known = scan.records_known();
  if (!last) return {};

  const auto& batch = scan.batch();
  if (batch && batch->end() == scan.position() && batch->offset != segment.header.first && batch->offset >= synced_to) {
    segment.end = batch->offset;
    segment.chain = batch->chain;
    segment.records = batch->records_before;
    if (auto kept = keep_tail(**file, *batch); !kept) return kept;
  }
  last_written_to_ = scan.position();
  if (scan.torn_to() > scan.position()) {
    last_written_to_ = std::min(scan.torn_to(), scan.position() + kTornKept);
    spdlog::info("{}: what a write under way left behind offset {} is cut; nothing of it was acknowledged", path,
                 scan.position());
  }
  return {};
}

Result<void> Recovery::keep_tail(File& file, const format::BatchHeader& batch) {
  std::string bytes(sizeof batch + batch.length, '\0');
  auto got = file.read(batch.offset, bytes);
  if (!got) return got.error();
  if (!format::body_is_whole(batch, bytes)) return Error{"the last batch of the journal reads differently twice", EIO};
  for (std::size_t at = sizeof batch; at < bytes.size();) {
    const auto record = format::record_header(bytes.data() + at);
    tail_.append({bytes.data() + at + sizeof record, record.length});
    at += sizeof record + record.length;
  }
  return {};
}

Result<void> Recovery::cut_unused(Catalog& catalog) {
  const auto last = catalog.segments.find(last_);
  if (last == catalog.segments.end() || last->second.file_bytes <= last_written_to_) return {};
  auto file = disk_.open(catalog.path_of(last_), OpenMode::kWrite);
  if (!file) return file.error();
  if (auto cut = (*file)->truncate(last_written_to_); !cut) return cut;
  last->second.file_bytes = last_written_to_;
  return {};
}

Result<void> Recovery::tidy(Catalog& catalog) {
  std::vector<std::uint64_t> empty;
  for (auto& [id, segment] : catalog.segments) {
    if (id >= next_segment_) continue;
    const std::string path = catalog.path_of(id);
    if (segment.records == 0 && segment.records_known && !segment.suspect) {
      if (auto removed = disk_.remove(path); !removed) return removed;
      empty.push_back(id);
    } else if (id == last_) {
      if (auto cut = cut_unused(catalog); !cut) return cut;
    }
  }
  if (empty.empty()) return {};
  const std::lock_guard lock(catalog.mutex);
  for (const std::uint64_t id : empty) catalog.segments.erase(id);
  return disk_.sync_directory(directory_);
}

Result<void> Recovery::visit(Catalog& catalog) {
  std::vector<Catalog::Segment> segments;
  for (const auto& [id, segment] : catalog.segments) segments.push_back(segment);
  for (const auto& segment : segments) {
    if (auto visited = visit_segment(segment, catalog); !visited) return visited;
  }
  return {};
}

Result<void> Recovery::visit_segment(Catalog::Segment segment, Catalog& catalog) {
  const std::uint64_t id = segment.header.id;
  auto file = disk_.open(catalog.path_of(id), OpenMode::kRead);
  if (!file) return file.error();
  const auto records = segment.records_known ? std::optional(segment.records) : std::nullopt;
  SegmentScan scan(**file, segment.header, segment.end, segment.end, records, options_.scan_window);
  for (;;) {
    auto found = scan.next();
    if (!found) return found.error();
    if (*found == SegmentScan::Found::kEnd) return {};
    if (*found == SegmentScan::Found::kRecord) {
      const RecordPosition place{id, scan.offset(), static_cast<std::uint32_t>(scan.bytes().size())};
      const bool after = !snapshot_at_ || !before(place, *snapshot_at_);
      if (visitor_.record) visitor_.record(place, scan.bytes(), after);
      continue;
    }
    const Lost& lost = scan.lost();
    const std::string name = format::segment_name(id);
    const auto kept = quarantine_.copy(name, lost.offset, lost.bytes, lost.why);
    report({.file = name,
            .segment = id,
            .offset = lost.offset,
            .bytes = lost.bytes,
            .records = lost.records,
            .records_known = lost.records_known,
            .why = lost.why,
            .kept = kept.path,
            .seen_before = kept.seen_before});
    const std::lock_guard lock(catalog.mutex);
    catalog.segments[id].suspect = true;
  }
}

void Recovery::report(Damage damage) const {
  spdlog::error("{}/{}: {} (offset {}, {} bytes, {}{} records lost){}{}", directory_, damage.file, damage.why,
                damage.offset, damage.bytes, damage.records_known ? "" : "at least ", damage.records,
                damage.kept.empty() ? "" : "; kept as ", damage.kept);
  if (visitor_.damage) visitor_.damage(damage);
}

}  // namespace detent
