#include "host/thread_executor.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <utility>

namespace detent {

void ThreadExecutor::run(TaskThread& lane, Job job) {
  lane.post([this, job = std::move(job)] {
    if (OnLoop task = job()) post(std::move(task));
  });
}

void ThreadExecutor::post(OnLoop task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  wake_();
}

void ThreadExecutor::run_posted(Now now) {
  std::vector<OnLoop> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (const auto& task : tasks) task(now);
}

void ThreadExecutor::stop(const Error& error) {
  // What the page cache shows proves nothing any more, so nothing is tried again here: the next start recovers.
  spdlog::critical("the journal cannot be written, stopping: {}", error.what);
  spdlog::shutdown();
  std::_Exit(1);
}

void ThreadExecutor::finish() {
  journal_.reset();
  chores_.reset();
}

}  // namespace detent
