// A lock on a ref that stands in its only writer's way. git leaves one behind where it is killed, and nobody takes it
// away.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/clock.h"

namespace detent {

class RefLock {
 public:
  /// Of "detent/ledger" in the bare repository. One that is there now is most likely that of the process before us.
  RefLock(const std::filesystem::path& repository, const std::string& branch, Millis mono);

  /// Takes the lock away where the same one has stood for 5 s since it was seen first (half a second where it was there
  /// before us). True: there is none any more.
  bool break_stale(Millis mono);
  void forget() { inode_ = 0; }

 private:
  std::filesystem::path path_;
  ino_t inode_ = 0;  // of the lock that was seen, and since when
  Millis since_{0};
};

}  // namespace detent
