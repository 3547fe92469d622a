// The broker's write-ahead log: segments of chained batches of opaque records, and a snapshot that bounds a restart.
// docs/journal-format.md tells the bytes and the reasons. A state's directory may hold several journals, each in a
// directory of its own; nothing is shared between them.
//
// Threads. The *journal thread* is whichever one calls `append`, `drop` and `close`; one at a time. Beside it, at any
// time:
//   - `prepare_spare`, `refill_reserve`, `space`: one housekeeping thread;
//   - `put_snapshot`: any thread; one of before the last is not written;
//   - `segments`, `bytes`, `end`: any thread;
//   - each JournalReader and JournalTail: one thread each; they outlive the Journal safely.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "base/seed.h"
#include "journal/batch.h"

namespace detent {

/// Where one record lies: of its segment's file, the offset of its header, and the length of its bytes.
struct RecordPosition {
  std::uint64_t segment = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  auto operator<=>(const RecordPosition&) const = default;
};

/// The end of a synced batch: all before it is on the disk. `chain` stands for all content up to there; `records` are
/// those of the segment.
struct LogPosition {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t chain = 0;
  std::uint64_t records = 0;
  bool operator==(const LogPosition&) const = default;
};

/// Whether what was asked for can never be read: its checksum is wrong, or it is not there. Every other error (no
/// descriptor left, no memory, a disk that refuses) may be over when it is tried again.
inline bool is_lost(const Error& error) { return error.code == EBADMSG || error.code == ENOENT; }

/// Whether it says nothing of the disk's bytes, but that there is no room, no descriptor or no memory at the moment:
/// then the batch that was not appended may be given again later.
bool may_pass(const Error& error);

/// True where the record lies before the mark.
inline bool before(const RecordPosition& place, const LogPosition& mark) {
  return place.segment < mark.segment || (place.segment == mark.segment && place.offset < mark.offset);
}

struct Appended {
  std::uint64_t segment = 0;
  std::uint32_t base_offset = 0;  // a record's RecordPosition::offset is this and what Batch::append returned
  bool rolled = false;            // the batch is the first of a fresh segment,
  std::uint64_t sealed = 0;       // and this one before it takes no more
  bool after_failure = false;     // because a write or sync there failed: the reason is in `failure`
  std::string failure;
  LogPosition end;
};

/// Acknowledged bytes that cannot be read back. They were copied (never cut), and the rest is served.
struct Damage {
  std::string file;           // what is damaged: a segment, a snapshot
  std::uint64_t segment = 0;  // 0 for a snapshot
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;  // lost; those around them that could be read are served
  bool records_known = true;  // false: at least that many
  std::string why;            // one readable line
  std::string kept;           // the copy's path under quarantine/, empty where it could not be made
  bool seen_before = false;   // reported by an earlier start already
};

/// What `Journal::open` hands on, in this order: the snapshot where there is one, then every record of every segment.
struct JournalVisitor {
  std::function<void(std::string_view bytes)> snapshot;
  /// `after_snapshot`: not yet part of the snapshot's state. The bytes are good during the call only.
  std::function<void(const RecordPosition& place, std::string_view bytes, bool after_snapshot)> record;
  /// Called where it is found, between the records around it.
  std::function<void(const Damage& damage)> damage;
};

struct JournalOptions {
  std::uint64_t segment_bytes = 64ull << 20;
  unsigned spares = 2;                        // ready segments to keep
  std::uint64_t reserve_bytes = 64ull << 20;  // the file that is given up on a full disk; 0: none
  std::uint64_t low_water = 256ull << 20;     // below this many free bytes, publishers are to be refused
  std::size_t scan_window = 1 << 20;          // bytes read at a time at start
  std::uint64_t seed = random_seed();         // of the segments' salts: never the same twice for one directory
  std::function<void()> make_room;            // asked for on a full disk, when the reserve is given up already
};

struct SegmentInfo {
  std::uint64_t id = 0;
  std::uint64_t bytes = 0;  // of batches in it
  std::uint64_t file_bytes = 0;
  bool open = false;  // the one that batches go to
};

struct Space {
  std::uint64_t free = 0;
  bool low = false;           // refuse publishers with DISK_LOW
  bool reserve_held = false;  // false: it was given up, `refill_reserve` when there is room again
  unsigned spares = 0;
};

/// The numbers of the segments whose files are in the directory, in order; none where there is no directory yet.
Result<std::vector<std::uint64_t>> segments_in(Disk& disk, const std::string& directory);

struct Catalog;
class JournalReader;
class JournalTail;

class Journal {
 public:
  /// Recovers what is in the directory (made where missing), locks it for this process, and begins a fresh segment.
  /// Everything visited is on the disk. Fails where the disk does; damage is no failure.
  static Result<std::unique_ptr<Journal>> open(Disk& disk, const std::string& directory, const JournalOptions& options,
                                               const JournalVisitor& visitor);
  ~Journal();

  /// Writes and syncs the batch: when it returns, its records are on the disk. After a failed write or sync the batch
  /// goes to a fresh segment, once; an error means that nothing of it may be acknowledged and the journal takes no
  /// more: exit, and recover. But where the error `may_pass`, the same batch may be given again later. The batch is
  /// left as it is; its records' places are in the answer. An empty batch is allowed: it names the one before it as
  /// synced.
  Result<Appended> append(Batch& batch);

  /// Names the last batch as synced, so that the next start knows all of it to be. No append after that.
  Result<void> close();

  /// The end of the last batch appended.
  LogPosition end() const;

  /// Keeps the state as it was at `at` (an Appended::end, or `end()` right after open), and the one before it.
  Result<void> put_snapshot(const LogPosition& at, std::string_view bytes);
  /// The segment of the snapshot before the last; 0 where there is none. Should the last be damaged, a restart needs
  /// every record from there on.
  std::uint64_t needed_from() const;

  /// Removes sealed segments, in any order, or keeps them as spares. Their records can no longer be read. What an error
  /// left in place is still a segment, and may be dropped again.
  Result<void> drop(std::span<const std::uint64_t> segments);
  /// In order; the last is open.
  std::vector<SegmentInfo> segments() const;
  /// Of all segment files, spares and the reserve.
  std::uint64_t bytes() const;

  /// Makes one more ready segment where fewer than `spares` are; true where it did. Slow: it writes zeros, so that a
  /// sync later writes nothing but its own bytes. `in_haste`: only allocates it, since it is wanted soon, and writing
  /// every byte twice would cost more than it saves.
  Result<bool> prepare_spare(bool in_haste = false);
  /// Makes the reserve file again where it was given up and there is room for it above the low-water mark.
  Result<bool> refill_reserve();
  /// Frees the reserve's bytes, where what is to be written makes room elsewhere and finds none: a snapshot, ids,
  /// commits.
  Result<void> give_up_reserve();
  Result<Space> space() const;

  std::unique_ptr<JournalReader> reader(std::size_t window = 256 << 10) const;
  /// From the first record at or after `from`.
  std::unique_ptr<JournalTail> tail(const RecordPosition& from = {}, std::size_t window = 256 << 10) const;

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);

  Result<void> write(Batch& batch, Appended& answer);
  Result<void> begin_segment(Batch& batch, Appended& answer);
  Result<void> begin_segment_or_stop(Batch& batch, Appended& answer);

  std::unique_ptr<State> state_;
};

/// Reads single records by place, in any order; reading onwards costs one system call a window.
class JournalReader {
 public:
  ~JournalReader();
  /// The record's bytes, good until the next call. An error where they are damaged (EBADMSG), dropped (ENOENT), or
  /// cannot be read this time (any other code; `is_lost` tells). The place must have been appended or visited.
  Result<std::string_view> read(const RecordPosition& place);

 private:
  friend class Journal;
  JournalReader(std::shared_ptr<Catalog> catalog, std::size_t window);
  struct State;
  std::unique_ptr<State> state_;
};

/// Follows the journal from record to record as it grows, through its segments, as `tail -f` does.
class JournalTail {
 public:
  ~JournalTail();
  struct Record {
    RecordPosition place;
    /// The same in every life, and growing: a restart may copy the last batch to a fresh segment, and then it is where
    /// it lay before. For whoever remembers how far it got.
    RecordPosition origin;
    std::string_view bytes;  // good until the next call
  };
  /// The next record before `synced` (an Appended::end: nothing at or after it is touched); none where that is reached.
  /// What `is_lost` is an error once, and the next call goes on behind it; after any other error the next call tries
  /// the same again. A dropped segment is passed over.
  Result<std::optional<Record>> next(const LogPosition& synced);

 private:
  friend class Journal;
  JournalTail(std::shared_ptr<Catalog> catalog, const RecordPosition& from, std::size_t window);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace detent
