// Which ids are known: of the open segment in memory, of sealed ones in their files. The loop's thread alone, but for
// writing a sealed table to its file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/seed.h"
#include "journal/ids.h"

namespace detent {

class IdWindow {
 public:
  /// `seed`: of its tables, so that no one can choose ids that collide.
  explicit IdWindow(IdFiles files, uint64_t seed = random_seed())
      : seed_(seed), open_(seed), spare_(seed), files_(std::move(files)) {}

  /// The content hash known for the id; else it is in from here on. An id file that cannot be read is an error: whether
  /// the id is known cannot be told until it can be.
  Result<std::optional<uint64_t>> insert(const SignalId& id, uint64_t content);
  /// Takes in what a record that no file covers says, without looking at the files: during recovery.
  void remember(const SignalId& id, uint64_t content) { (void)open_.insert(id, content); }
  /// Why a file of ids cannot be read at the moment; none where all could be. `probe` tries again.
  const std::optional<Error>& failing() const { return files_.failing(); }
  void probe() { files_.probe(); }
  /// Makes an `insert` a moment later cheaper.
  void fetch(const SignalId& id) const { open_.fetch(id); }
  /// Whether all ids of `segment` are in files: else its records are to be replayed, and it must not be dropped.
  bool covered(uint64_t segment) const;
  /// Before recovery: the journal's segments, in order.
  void look(const std::vector<uint64_t>& segments);

  /// What was inserted since the last time, to be written as the file of `segment` once all of it is durable. Until
  /// `sealed` it stays known from here, and may be read by another thread.
  const std::vector<KnownId>& seal(uint64_t segment);
  Result<void> sealed(uint64_t segment);
  /// The file could not be written: `again` asks for it.
  void unwritten(uint64_t segment);
  /// What is to be written after all, as `seal` gave it, and the segment; null: nothing.
  std::pair<uint64_t, const std::vector<KnownId>*> again();
  /// Gives back the memory that is kept to be filled again.
  void trim() { spare_ = OpenIds(seed_); }
  Result<size_t> prune(uint64_t wall_ms) { return files_.prune(wall_ms); }

  size_t open() const { return open_.size(); }

 private:
  struct Sealing {
    OpenIds ids;
    std::vector<uint64_t> segments;  // of which it holds ids that are in no file
    bool unwritten = false;
  };
  uint64_t seed_;
  OpenIds open_;
  std::vector<uint64_t> replayed_;  // segments whose ids are in `open_`, beside those of the open one
  std::map<uint64_t, Sealing> sealing_;
  OpenIds spare_;  // empty, with the memory of a table that is in its file
  IdFiles files_;
  std::set<uint64_t> covered_;
};

}  // namespace detent
