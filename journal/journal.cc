#include "journal/journal.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "journal/catalog.h"
#include "journal/format.h"
#include "journal/recovery.h"
#include "journal/snapshot.h"
#include "journal/store.h"

namespace detent {

using format::BatchHeader;

struct Journal::State {
  State(Disk& the_disk, std::string the_directory, const JournalOptions& the_options)
      : disk(the_disk),
        directory(std::move(the_directory)),
        options(the_options),
        store(disk, directory, options),
        catalog(std::make_shared<Catalog>(disk, directory)) {}

  Disk& disk;
  const std::string directory;
  const JournalOptions options;
  std::unique_ptr<DirectoryLock> lock;
  SegmentStore store;
  std::shared_ptr<Catalog> catalog;

  // The open segment; the journal's thread alone. The catalog's entry follows it.
  std::unique_ptr<File> file;
  Catalog::Segment open;
  std::uint64_t next_segment = 1;
  // Segments that are not in the catalog, but whose name may come back after a power cut: given up, or being dropped.
  std::vector<format::SegmentEnd> also_named;
  std::optional<Error> stopped;

  mutable std::mutex mutex;  // over snapshot_at
  std::optional<LogPosition> snapshot_at;

  void publish() {
    const std::lock_guard guard(catalog->mutex);
    catalog->segments[open.header.id] = open;
  }
};

namespace {
std::uint64_t random_salt() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

format::SegmentEnd end_of(const Catalog::Segment& segment) {
  const auto records = segment.records_known ? segment.records : format::kUnknownRecords;
  return {segment.header.id, segment.end, segment.chain, records};
}
}  // namespace

std::vector<std::uint64_t> segments_in(Disk& disk, const std::string& directory) {
  std::vector<std::uint64_t> segments;
  if (const auto names = disk.list(directory)) {
    for (const std::string& name : *names) {
      if (const auto segment = format::segment_of(name)) segments.push_back(*segment);
    }
  }
  return segments;
}

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, const std::string& directory, const JournalOptions& options,
                                               const JournalVisitor& visitor) {
  CHECK(options.segment_bytes <= 1ull << 31, "offsets in a segment are 32 bits wide");
  auto state = std::make_unique<State>(disk, directory, options);
  if (auto made = disk.make_directory(directory); !made) return made.error();
  auto lock = disk.lock(directory);
  if (!lock) return lock.error();
  state->lock = std::move(*lock);
  auto names = disk.list(directory);
  if (!names) return names.error();
  if (auto taken = state->store.take_stock(*names); !taken) return taken.error();

  Catalog& catalog = *state->catalog;
  Recovery recovery(disk, directory, options, visitor);
  if (auto looked = recovery.look(*names, catalog); !looked) return looked.error();
  state->next_segment = recovery.next_segment();
  state->snapshot_at = recovery.snapshot_at();
  if (!catalog.segments.empty()) state->open = catalog.segments.rbegin()->second;

  std::unique_ptr<Journal> journal(new Journal(std::move(state)));
  Appended begun;
  if (auto began = journal->begin_segment_or_stop(recovery.tail(), begun); !began) return began.error();
  if (auto tidied = recovery.tidy(catalog); !tidied) return tidied.error();
  if (auto visited = recovery.visit(catalog); !visited) return visited.error();
  return journal;
}

Result<Appended> Journal::append(Batch& batch) {
  State& s = *state_;
  if (s.stopped) return *s.stopped;
  Appended answer;
  const std::uint64_t whole = batch.padded(format::kSector).size();
  const bool full = s.open.end + whole > s.options.segment_bytes;
  // One that began while none was ready grows with each write, whose sync then takes the disk one write more.
  const bool grows = s.open.file_bytes < s.options.segment_bytes && s.store.has_spare();
  if (s.open.records > 0 && (full || grows)) {
    answer.sealed = s.open.header.id;
    answer.rolled = true;
    if (auto begun = begin_segment_or_stop(batch, answer); !begun) return begun.error();
    return answer;
  }
  if (auto written = write(batch, answer); !written) {
    answer.rolled = answer.after_failure = true;
    answer.sealed = s.open.header.id;
    answer.failure = written.error().what;
    spdlog::error("{}: going on in a fresh segment", answer.failure);
    s.open.suspect = true;
    s.publish();
    if (auto begun = begin_segment_or_stop(batch, answer); !begun) return begun.error();
  }
  return answer;
}

Result<void> Journal::write(Batch& batch, Appended& answer) {
  State& s = *state_;
  const BatchHeader header = format::seal(batch.sealing_room(), batch.bytes(), batch.count(), s.open.header, s.open.end,
                                          s.open.chain, s.open.records);
  if (auto written = s.file->write_durable(s.open.end, batch.padded(format::kSector)); !written) return written;
  answer.segment = s.open.header.id;
  answer.base_offset = static_cast<std::uint32_t>(header.offset);
  s.open.end = header.end();
  s.open.chain = format::chain_after(header);
  s.open.records += header.count;
  s.open.file_bytes = std::max(s.open.file_bytes, s.open.end);
  s.publish();
  answer.end = end();
  return {};
}

// A segment is born whole: header and first batch are synced under another name, then it gets its own. So a file with a
// segment's name always has a header and a first batch, and these are on the disk.
Result<void> Journal::begin_segment(Batch& batch, Appended& answer) {
  State& s = *state_;
  Catalog::Segment fresh;
  fresh.header = {.id = s.next_segment++, .salt = random_salt(), .chain = s.open.chain};
  {
    const std::lock_guard guard(s.catalog->mutex);
    for (const auto& [id, segment] : s.catalog->segments) {
      fresh.header.ends.push_back(end_of(segment));
    }
  }
  fresh.header.ends.insert(fresh.header.ends.end(), s.also_named.begin(), s.also_named.end());
  const std::string front = format::encode(fresh.header);
  fresh.header.ends.clear();

  auto blank = s.store.take();
  if (!blank) return blank.error();
  const BatchHeader header = format::seal(batch.sealing_room(), batch.bytes(), batch.count(), fresh.header,
                                          fresh.header.first, fresh.header.chain, 0);
  auto written = blank->file->write(0, front);
  if (written) written = blank->file->write(header.offset, batch.padded(format::kSector));
  if (written) written = blank->file->sync();
  if (!written) {
    // What a failed write or sync leaves is never used again.
    if (auto removed = s.disk.remove(blank->path); !removed) spdlog::warn("{}", removed.error().what);
    return written;
  }
  const std::string path = s.catalog->path_of(fresh.header.id);
  auto named = s.disk.rename(blank->path, path);
  if (named) named = s.disk.sync_directory(s.directory);
  if (!named) {
    s.also_named.push_back({fresh.header.id, header.offset, fresh.header.chain, 0});
    return named;
  }

  fresh.end = header.end();
  fresh.chain = format::chain_after(header);
  fresh.records = header.count;
  fresh.file_bytes = std::max(blank->bytes, fresh.end);
  s.open = fresh;
  s.file = std::move(blank->file);
  s.publish();
  answer.segment = fresh.header.id;
  answer.base_offset = static_cast<std::uint32_t>(header.offset);
  answer.end = end();
  return {};
}

Result<void> Journal::begin_segment_or_stop(Batch& batch, Appended& answer) {
  State& s = *state_;
  const auto first = begin_segment(batch, answer);
  if (first) return {};
  spdlog::error("{}: a fresh segment could not be begun: {}", s.directory, first.error().what);
  if (first.error().code == ENOSPC || first.error().code == EDQUOT) {
    if (auto given = s.store.give_up_reserve(); !given) spdlog::error("{}", given.error().what);
  }
  const auto second = begin_segment(batch, answer);
  if (second) {
    answer.after_failure = true;
    if (answer.failure.empty()) answer.failure = first.error().what;
    return {};
  }
  s.stopped = Error{"the journal takes no more: " + second.error().what, second.error().code};
  return *s.stopped;
}

Result<void> Journal::close() {
  State& s = *state_;
  if (s.stopped) return *s.stopped;
  Batch nothing;
  Appended answer;
  auto written = write(nothing, answer);
  s.stopped = Error{"the journal " + s.directory + " is closed", 0};
  return written;
}

LogPosition Journal::end() const {
  const std::lock_guard guard(state_->catalog->mutex);
  const auto& [id, segment] = *state_->catalog->segments.rbegin();
  return {id, segment.end, segment.chain, segment.records};
}

Result<void> Journal::put_snapshot(const LogPosition& at, std::string_view bytes) {
  if (auto written = write_snapshot(state_->disk, state_->directory, at, bytes); !written) return written;
  const std::lock_guard guard(state_->mutex);
  state_->snapshot_at = at;
  return {};
}

std::optional<LogPosition> Journal::snapshot_at() const {
  const std::lock_guard guard(state_->mutex);
  return state_->snapshot_at;
}

// A dropped segment is named in headers until its removal is on the disk: else a power cut could bring it back as one
// of which no header says where it ends.
Result<void> Journal::drop(std::span<const std::uint64_t> segments) {
  State& s = *state_;
  std::vector<Catalog::Segment> leaving;
  {
    const std::lock_guard guard(s.catalog->mutex);
    for (const std::uint64_t id : segments) {
      CHECK(id != s.open.header.id, "the open segment is never dropped");
      const auto found = s.catalog->segments.find(id);
      if (found == s.catalog->segments.end()) continue;
      leaving.push_back(found->second);
      s.catalog->segments.erase(found);
    }
  }
  const std::size_t named_before = s.also_named.size();
  for (const auto& segment : leaving) s.also_named.push_back(end_of(segment));

  std::vector<std::string> spares;
  Result<void> removed;
  for (const auto& segment : leaving) {
    const std::string path = s.catalog->path_of(segment.header.id);
    if (!segment.suspect) {
      auto spare = s.store.rename_to_spare(path, segment.file_bytes, spares.size());
      if (spare && *spare) {
        spares.push_back(std::move(**spare));
        continue;
      }
    }
    if (auto one = s.disk.remove(path); !one) removed = one;
  }
  if (auto synced = s.disk.sync_directory(s.directory); !synced) return synced;
  s.store.stock(std::move(spares));
  if (removed) s.also_named.resize(named_before);
  return removed;
}

std::vector<SegmentInfo> Journal::segments() const {
  const std::lock_guard guard(state_->catalog->mutex);
  std::vector<SegmentInfo> all;
  for (const auto& [id, segment] : state_->catalog->segments) {
    all.push_back({id, segment.end - segment.header.first, segment.file_bytes, false});
  }
  if (!all.empty()) all.back().open = true;
  return all;
}

std::uint64_t Journal::bytes() const {
  std::uint64_t sum = state_->store.bytes();
  for (const SegmentInfo& segment : segments()) sum += segment.file_bytes;
  return sum;
}

Result<bool> Journal::prepare_spare(bool in_haste) { return state_->store.prepare_spare(in_haste); }
Result<bool> Journal::refill_reserve() { return state_->store.refill_reserve(); }
Result<Space> Journal::space() const { return state_->store.space(); }

std::unique_ptr<JournalReader> Journal::reader(std::size_t window) const {
  return std::unique_ptr<JournalReader>(new JournalReader(state_->catalog, window));
}

std::unique_ptr<JournalTail> Journal::tail(const RecordPosition& from, std::size_t window) const {
  return std::unique_ptr<JournalTail>(new JournalTail(state_->catalog, from, window));
}

}  // namespace detent
