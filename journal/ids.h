// The ids of the last 90 days: those of the open segment in memory, those of sealed ones in a sorted file beside each.
// An id is a ULID, 16 bytes with its time in front; with each goes a 64-bit hash of the signal's content, so that an id
// used again for other content is told from a repeat.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"

namespace detent {

using SignalId = std::array<unsigned char, 16>;

struct KnownId {
  SignalId id{};
  std::uint64_t content = 0;
};

/// Milliseconds since the epoch, from the id's first six bytes.
inline std::uint64_t time_of(const SignalId& id) {
  std::uint64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = ms << 8 | id[i];
  return ms;
}

/// The open segment's ids, in the order in which they came, and a table of places among them: what is most of the
/// memory is written onwards, and only eight bytes an id at random. One thread.
class OpenIds {
 public:
  /// `seed`: so that no one can choose ids that collide.
  explicit OpenIds(std::uint64_t seed);
  /// The content known for the id, or none, and then it is in.
  std::optional<std::uint64_t> insert(const SignalId& id, std::uint64_t content);
  std::optional<std::uint64_t> find(const SignalId& id) const;
  /// Brings the id's place into the processor's cache, for an `insert` a moment later.
  void fetch(const SignalId& id) const;
  std::size_t size() const { return ids_.size(); }
  std::size_t memory() const { return ids_.capacity() * sizeof(KnownId) + slots_.capacity() * sizeof(Slot); }
  /// In the order in which they came.
  const std::vector<KnownId>& all() const { return ids_; }
  /// Forgets them and keeps the memory.
  void clear();

 private:
  struct Slot {
    std::uint32_t tag = 0;    // of the id's hash, so that hardly another id is ever looked at
    std::uint32_t place = 0;  // in `ids_`, counted from 1; 0: free
  };
  std::uint64_t hash_of(const SignalId& id) const;
  /// The id's slot, or the free one that is to be its own.
  std::size_t slot_of(const SignalId& id, std::uint64_t hash) const;
  void grow();

  std::vector<KnownId> ids_;
  std::vector<Slot> slots_;  // a power of two of them, at most half taken
  std::uint64_t seed_[2];
};

struct IdDamage {
  std::string file;
  std::string why;
  std::string kept;
};

/// The sealed files `<segment>.ids` of one directory. One thread, but for `write`.
class IdFiles {
 public:
  /// Opens the directory (made where missing). A file whose header is damaged goes to quarantine/ and is reported; each
  /// block of ids is checked when it is read.
  static Result<IdFiles> open(Disk& disk, const std::string& directory,
                              std::function<void(const IdDamage&)> damaged = {});
  IdFiles(IdFiles&&) noexcept;
  IdFiles& operator=(IdFiles&&) noexcept;
  ~IdFiles();

  /// Sorts them and writes the segment's file, durable when it returns. Any thread, beside all else: what it wrote
  /// counts once `add`ed.
  static Result<void> write(Disk& disk, const std::string& directory, std::uint64_t segment, std::vector<KnownId> ids);
  Result<void> add(std::uint64_t segment);

  /// Newest file first; an id newer than all of them costs no I/O. A damaged block is reported and taken as empty.
  Result<std::optional<std::uint64_t>> find(const SignalId& id);

  /// Why the file that `find` last needed cannot be read; none where it could be.
  const std::optional<Error>& failing() const;
  /// Tries to read it again.
  void probe();

  bool has(std::uint64_t segment) const;
  std::size_t count() const;  // ids in all files
  /// Removes the files whose newest id is older than `wall_ms`; returns how many.
  Result<std::size_t> prune(std::uint64_t wall_ms);

 private:
  struct State;
  explicit IdFiles(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace detent
