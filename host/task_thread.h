// A thread that does one task after another, in the order in which they were given.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace detent {

/// `post` from any thread. The destructor lets the tasks that were posted finish.
class TaskThread {
 public:
  /// `name`: at most 15 characters, for `top -H`.
  explicit TaskThread(const char* name)
      : thread_([this, name](const std::stop_token& stop) {
          pthread_setname_np(pthread_self(), name);
          run(stop);
        }) {}

  void post(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [this] { return !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> tasks_;
  std::jthread thread_;  // last: joined before what it uses goes
};

}  // namespace detent
