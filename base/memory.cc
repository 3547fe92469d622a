#include "base/memory.h"

#include <malloc.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

namespace detent {

namespace {

constexpr std::chrono::milliseconds kMoment{300};  // what was just cut off is freed within it; and no more often

class Giver {
 public:
  void ask() {
    {
      const std::lock_guard lock(mutex_);
      asked_ = true;
      if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }
    asking_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (asking_.wait(lock, stop, [this] { return asked_; })) {
      asking_.wait_for(lock, stop, kMoment, [] { return false; });
      asked_ = false;
      lock.unlock();
      malloc_trim(0);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any asking_;
  bool asked_ = false;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace

void give_back_memory_soon() {
  static Giver giver;
  giver.ask();
}

}  // namespace detent
