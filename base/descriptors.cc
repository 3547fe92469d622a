#include "base/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

namespace detent {

namespace {

/// Descriptors of /dev/null.
class Reserve {
 public:
  Reserve() {
    held_.fill(-1);
    refill();
  }
  /// Takes back what was given up, as far as there is room.
  void refill() {
    const std::lock_guard lock(mutex_);
    for (int& fd : held_) {
      if (fd < 0) fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (fd < 0) return;
    }
    whole_ = true;
  }
  bool give_up_one() {
    const std::lock_guard lock(mutex_);
    for (int& fd : held_) {
      if (fd < 0) continue;
      ::close(fd);
      fd = -1;
      whole_ = false;
      return true;
    }
    return false;
  }
  bool whole() const { return whole_; }

 private:
  std::mutex mutex_;
  std::atomic<bool> whole_ = false;
  std::array<int, 16> held_{};
};

Reserve& reserve() {
  static Reserve one;
  return one;
}

}  // namespace

uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
  }
  return limit.rlim_cur;
}

int open_file(const std::string& path, int flags, unsigned mode) {
  Reserve& kept = reserve();
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) {
      if (!kept.whole()) kept.refill();
      return fd;
    }
    if (errno == EINTR) continue;
    if (errno != EMFILE || !kept.give_up_one()) return fd;
  }
}

}  // namespace detent
