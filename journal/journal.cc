#include "journal/journal.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <tuple>

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
        salts(options.seed),
        store(disk, directory, options),
        catalog(std::make_shared<Catalog>(disk, directory)) {}

  Disk& disk;
  const std::string directory;
  const JournalOptions options;
  std::mt19937_64 salts;  // one for each segment
  std::unique_ptr<DirectoryLock> lock;
  SegmentStore store;
  std::shared_ptr<Catalog> catalog;

  // The open segment; the journal's thread alone. The catalog's entry follows it.
  std::unique_ptr<File> file;
  Catalog::Segment open;
  std::uint64_t next_segment = 1;
  // Segments that are not in the catalog, but whose name may come back after a power cut: given up, and dropped ones
  // whose removal is not known to be on the disk.
  std::vector<format::SegmentEnd> given_up, removed;
  std::vector<std::string> renamed;  // to spares, and not known to be so on the disk
  std::optional<Error> stopped;
  std::string failure;  // of a write to the open segment, which a fresh one has not made good yet

  std::mutex snapshots;      // one is written at a time
  mutable std::mutex mutex;  // over what follows
  std::optional<LogPosition> snapshot_at;
  std::uint64_t snapshot_before = 0;

  /// A later segment may be on the disk whose header says that the open one ends here: it takes no more.
  bool is_ended() const { return !given_up.empty() && given_up.back().segment > open.header.id; }

  void publish() { catalog->put(open); }

  void directory_is_synced() {
    store.stock(std::exchange(renamed, {}));
    removed.clear();
  }

  /// Files of segments that were given up: nothing of them counts.
  void remove_given_up() {
    for (const auto& end : std::exchange(given_up, {})) {
      auto gone = disk.remove(catalog->path_of(end.segment));
      if (!gone && gone.error().code != ENOENT) {
        given_up.push_back(end);
      } else {
        removed.push_back(end);
      }
    }
  }

  /// A dropped segment's file becomes a spare, or goes.
  Result<void> remove(const Catalog::Segment& segment) {
    const std::string path = catalog->path_of(segment.header.id);
    if (!segment.suspect) {
      auto spare = store.rename_to_spare(path, segment.file_bytes, renamed.size());
      if (spare && *spare) {
        renamed.push_back(std::move(**spare));
        return {};
      }
    }
    auto removed = disk.remove(path);
    if (!removed && removed.error().code == ENOENT) return {};
    return removed;
  }
};

namespace {
format::SegmentEnd end_of(const Catalog::Segment& segment) {
  const auto records = segment.records_known ? segment.records : format::kUnknownRecords;
  return {segment.header.id, segment.end, segment.chain, records};
}
}  // namespace

bool may_pass(const Error& error) {
  constexpr int kPassing[] = {EMFILE, ENFILE, ENOMEM, EINTR, EAGAIN, EACCES, ENOSPC, EDQUOT};
  return std::find(std::begin(kPassing), std::end(kPassing), error.code) != std::end(kPassing);
}

Result<std::vector<std::uint64_t>> segments_in(Disk& disk, const std::string& directory) {
  std::vector<std::uint64_t> segments;
  const auto names = disk.list(directory);
  if (!names && names.error().code != ENOENT) return names.error();
  if (names) {
    for (const std::string& name : *names) {
      if (const auto segment = format::segment_of(name)) segments.push_back(*segment);
    }
  }
  return {boost::system::in_place_value, std::move(segments)};
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
  state->snapshot_before = recovery.snapshot_before();
  if (!catalog.segments.empty()) state->open = catalog.segments.rbegin()->second;

  std::unique_ptr<Journal> journal(new Journal(std::move(state)));
  Appended begun;
  auto began = journal->begin_segment_or_stop(recovery.tail(), begun);
  if (!began && began.error().code == ENOSPC) {
    if (auto cut = recovery.cut_unused(catalog); !cut) return cut.error();
    began = journal->begin_segment_or_stop(recovery.tail(), begun);
  }
  if (!began) return began.error();
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
  if (s.open.suspect || s.is_ended() || (s.open.records > 0 && (full || grows))) {
    answer.sealed = s.open.header.id;
    answer.rolled = true;
    answer.after_failure = s.open.suspect;
    answer.failure = s.failure;
    if (auto begun = begin_segment_or_stop(batch, answer); !begun) return begun.error();
    return answer;
  }
  if (auto written = write(batch, answer); !written) {
    answer.rolled = answer.after_failure = true;
    answer.sealed = s.open.header.id;
    answer.failure = s.failure = written.error().what;
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

// Each try is a file of its own, of which nothing counts unless all of it succeeded, so it may be tried again.
// A segment is born whole: header and first batch are synced under another name, then it gets its own. So a file with a
// segment's name always has a header and a first batch, and these are on the disk.
Result<void> Journal::begin_segment(Batch& batch, Appended& answer) {
  State& s = *state_;
  if (!s.given_up.empty()) {  // while the directory cannot be synced, no file more is made
    if (auto synced = s.disk.sync_directory(s.directory); !synced) return synced;
    s.directory_is_synced();
  }
  Catalog::Segment fresh;
  fresh.header = {.id = s.next_segment++, .salt = s.salts(), .chain = s.open.chain};
  {
    const std::lock_guard guard(s.catalog->mutex);
    for (const auto& [id, segment] : s.catalog->segments) {
      fresh.header.ends.push_back(end_of(segment));
    }
  }
  for (const auto* ends : {&s.given_up, &s.removed})
    fresh.header.ends.insert(fresh.header.ends.end(), ends->begin(), ends->end());
  const std::string front = format::encode(fresh.header);
  fresh.before = format::newest_of(fresh.header.ends);
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
    s.given_up.push_back({fresh.header.id, header.offset, fresh.header.chain, 0});
    return named;
  }
  s.directory_is_synced();
  s.remove_given_up();
  s.failure.clear();

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
    if (s.options.make_room) s.options.make_room();
  }
  const auto second = begin_segment(batch, answer);
  if (second) {
    answer.after_failure = true;
    if (answer.failure.empty()) answer.failure = first.error().what;
    return {};
  }
  if (may_pass(second.error())) return second.error();
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
  const std::lock_guard one(state_->snapshots);
  {
    const std::lock_guard guard(state_->mutex);
    const auto& last = state_->snapshot_at;
    if (last && std::tie(at.segment, at.offset) < std::tie(last->segment, last->offset)) return {};  // it came late
  }
  auto written = write_snapshot(state_->disk, state_->directory, at, bytes);
  if (!written && written.error().code == ENOSPC) {
    // No segment is dropped without one, so this is what makes room.
    if (auto given = state_->store.give_up_reserve(); !given) return given;
    written = write_snapshot(state_->disk, state_->directory, at, bytes);
  }
  if (!written) return written;
  const std::lock_guard guard(state_->mutex);
  const auto last = std::exchange(state_->snapshot_at, at);
  // At the same place it has replaced the last one.
  if (last && (last->segment != at.segment || last->offset != at.offset)) state_->snapshot_before = last->segment;
  return {};
}

std::uint64_t Journal::needed_from() const {
  const std::lock_guard guard(state_->mutex);
  return state_->snapshot_before;
}

// A dropped segment is named in headers until its removal is on the disk: else a power cut could bring it back as one
// of which no header says where it ends.
Result<void> Journal::drop(std::span<const std::uint64_t> segments) {
  State& s = *state_;
  Result<void> dropped;
  for (const std::uint64_t id : segments) {
    CHECK(id != s.open.header.id, "the open segment is never dropped");
    // Out of the catalog first: a reader that finds it there may trust what it reads.
    const auto leaving = s.catalog->take(id);
    if (!leaving) continue;
    if (auto removed = s.remove(*leaving); !removed) {
      s.catalog->put(*leaving);
      dropped = removed;
      continue;
    }
    s.removed.push_back(end_of(*leaving));
  }
  if (s.removed.empty()) return dropped;
  if (auto synced = s.disk.sync_directory(s.directory); !synced) return synced;
  s.directory_is_synced();
  return dropped;
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
Result<void> Journal::give_up_reserve() { return state_->store.give_up_reserve(); }
Result<Space> Journal::space() const { return state_->store.space(); }

std::unique_ptr<JournalReader> Journal::reader(std::size_t window) const {
  return std::unique_ptr<JournalReader>(new JournalReader(state_->catalog, window));
}

std::unique_ptr<JournalTail> Journal::tail(const RecordPosition& from, std::size_t window) const {
  return std::unique_ptr<JournalTail>(new JournalTail(state_->catalog, from, window));
}

}  // namespace detent
