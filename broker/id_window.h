// Which ids are known: of the open segment in memory, of sealed ones in their files. The loop's thread alone, but for
// writing a sealed table to its file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/ids.h"

namespace detent {

class IdWindow {
 public:
  explicit IdWindow(IdFiles files) : files_(std::move(files)) {}

  /// The content hash known for the id; else it is in from here on. An id file that cannot be read is an error.
  Result<std::optional<uint64_t>> insert(const SignalId& id, uint64_t content);
  /// Makes an `insert` a moment later cheaper.
  void fetch(const SignalId& id) const { open_.fetch(id); }
  /// During recovery: whether the ids of `segment` are in a file already.
  bool covered(uint64_t segment) const { return segment <= covered_; }
  /// Before recovery: the segments that exist, so that the newest with a file is known.
  void look(const std::vector<uint64_t>& segments);

  /// What was inserted since the last time, to be written as the file of `segment` once all of it is durable. Until
  /// `sealed` it stays known from here.
  std::vector<KnownId> seal(uint64_t segment);
  Result<void> sealed(uint64_t segment);
  Result<size_t> prune(uint64_t wall_ms) { return files_.prune(wall_ms); }

  size_t open() const { return open_.size(); }

 private:
  OpenIds open_;
  std::map<uint64_t, OpenIds> sealing_;
  IdFiles files_;
  uint64_t covered_ = 0;
};

}  // namespace detent
