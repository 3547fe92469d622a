#include "ledger/repository/ref_lock.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

namespace detent {

namespace {
constexpr Millis kPatience{5'000};
constexpr Millis kPatienceWithOld{500};
}  // namespace

RefLock::RefLock(const std::filesystem::path& repository, const std::string& branch, Millis mono)
    : path_(repository / ("refs/heads/" + branch + ".lock")) {
  struct stat about {};
  if (::stat(path_.c_str(), &about)) return;
  inode_ = about.st_ino;
  since_ = mono - kPatience + kPatienceWithOld;
}

bool RefLock::break_stale(Millis mono) {
  struct stat about {};
  if (::stat(path_.c_str(), &about)) return true;
  if (about.st_ino != inode_) {
    inode_ = about.st_ino;
    since_ = mono;
  } else if (mono - since_ >= kPatience) {
    spdlog::warn("ledger: removing {}, which a killed process left behind", path_.string());
    ::unlink(path_.c_str());
    inode_ = 0;
    return true;
  }
  return false;
}

}  // namespace detent
