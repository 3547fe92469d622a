// Which sections of three versions of a QUEUE.md are the same task. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text_map.h"
#include "ledger/tasks/queue_file.h"

namespace detent {

/// The sections of a file by what they are in every version: by their id, or by their title while they have none, and
/// the how-manieth of it.
class SectionKeys {
 public:
  explicit SectionKeys(const QueueFile& file);

  const std::string& of(std::size_t index) const { return keys_[index]; }
  std::optional<std::size_t> find(std::string_view key) const;
  /// Whether a section before it has the same id.
  bool repeats(std::size_t index) const { return repeats_[index]; }

  /// Those of this file, the dispatcher's, that were given an id since `base` have the key again that they have in
  /// there; unless `theirs` knows them by their id.
  void match_adopted(const QueueFile& ours, const QueueFile& base, const SectionKeys& base_keys,
                     const SectionKeys& theirs_keys);

 private:
  std::vector<std::string> keys_;
  std::vector<bool> repeats_;
  TextMap<std::size_t> index_;
};

}  // namespace detent
