// Results that wait to be acknowledged: on the disk before they are sent, so that they survive the worker's restart.
//
// A result is bytes that mean nothing here, one for each attempt. One thread.
#pragma once

#include <compare>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"

namespace detent {

class Results {
 public:
  struct Key {
    std::string task;
    uint64_t epoch = 0;
    auto operator<=>(const Key&) const = default;
  };

  /// Makes the folder where it is missing and finds what waits in it. `disk` outlives it.
  static Result<Results> open(Disk& disk, const std::string& folder);

  /// Durable when it returns; replaces an earlier one of this attempt. After an error it does not wait, though a part
  /// of it may have reached the disk.
  Result<> keep(const Key& key, std::string_view bytes);
  /// The bytes as they were kept.
  Result<std::string> read(const Key& key) const;
  /// It has arrived for good: it is forgotten. One that is not there is fine. After a power cut it may wait once more,
  /// and whoever takes it knows its epoch.
  Result<> acknowledged(const Key& key);

  const std::set<Key>& waiting() const { return waiting_; }

 private:
  Results(Disk& disk, std::string folder) : disk_{&disk}, folder_{std::move(folder)} {}
  std::string path_of(const std::string& name) const { return folder_ + "/" + name; }

  Disk* disk_;
  std::string folder_;
  std::set<Key> waiting_;
};

}  // namespace detent
