// Copies of what is damaged, with a note of why. Nothing that was acknowledged is ever only deleted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/disk.h"

namespace detent {

/// The folder quarantine/ of one directory. One thread. A copy that cannot be made is logged and costs nothing else.
class Quarantine {
 public:
  Quarantine(Disk& disk, const std::string& directory)
      : disk_(disk), home_(directory), folder_(directory + "/quarantine") {}

  struct Kept {
    std::string path;  // empty where it could not be kept
    bool seen_before = false;
  };

  /// Copies a range of the file; the same range is copied once.
  Kept copy(const std::string& name, std::uint64_t offset, std::uint64_t bytes, std::string_view why);
  /// Moves the whole file there.
  Kept move(const std::string& name, std::string_view why);

 private:
  /// A readable line beside what is kept.
  void note(const std::string& path, const std::string& text);
  Result<void> copy_bytes(const std::string& from, std::uint64_t offset, std::uint64_t bytes, const std::string& to);

  Disk& disk_;
  std::string home_;
  std::string folder_;
};

}  // namespace detent
