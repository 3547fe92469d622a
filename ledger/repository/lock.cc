#include "ledger/repository/lock.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace detent {

Result<FileLock> FileLock::take(const std::filesystem::path& path, bool waits) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return system_error("cannot open " + path.string(), errno);
  FileLock lock{file};
  int taken = 0;
  while ((taken = flock(file, waits ? LOCK_EX : LOCK_EX | LOCK_NB)) && errno == EINTR) {
  }
  if (taken && errno != EWOULDBLOCK) return system_error("cannot lock " + path.string(), errno);
  if (taken) {
    return Error{fmt::format("another process writes this ledger ({} is locked); stop it first", path.string()),
                 EWOULDBLOCK};
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : file_{std::exchange(other.file_, -1)} {}

FileLock::~FileLock() {
  if (file_ >= 0) close(file_);
}

Result<> owned_by_us(const std::filesystem::path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about)) return system_error("cannot look at " + path.string(), errno);
  if (about.st_uid == geteuid()) return {};
  return Error{
      fmt::format("the ledger repository {} belongs to user {}, and this process runs as {}; run it as its owner, or: "
                  "chown -R {} {}",
                  path.string(), about.st_uid, geteuid(), geteuid(), path.string())};
}

}  // namespace detent
