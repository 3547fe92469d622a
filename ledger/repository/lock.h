// Whose a ledger is: of one user, and of one process at a time.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace detent {

/// A file held locked for as long as this lives; the system lets go of it where the process is killed.
class FileLock {
 public:
  /// An error where another process has it; with `waits`, until that one lets go of it.
  static Result<FileLock> take(const std::filesystem::path& path, bool waits = false);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int file) : file_{file} {}
  int file_;
};

/// git refuses to work in a repository of somebody else's, and what we wrote there would be in that one's way.
Result<> owned_by_us(const std::filesystem::path& path);

}  // namespace detent
