// A thread for each lane. Results and posts wake the loop.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "host/executor.h"
#include "host/task_thread.h"

namespace detent {

class ThreadExecutor : public Executor {
 public:
  /// `wake` ends the loop's wait; any thread.
  explicit ThreadExecutor(std::function<void()> wake) : wake_(std::move(wake)) {}

  void journal(Job job) override { run(*journal_, std::move(job)); }
  void chore(Job job) override { run(*chores_, std::move(job)); }
  void post(OnLoop task) override;
  void run_posted(Now now) override;
  /// Ends the process.
  void stop(const Error& error) override;

  /// Waits until all jobs are done; none may be given after it. `post` goes on being allowed, and comes to nothing.
  void finish();

 private:
  void run(TaskThread& lane, Job job);

  const std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<OnLoop> posted_;
  std::unique_ptr<TaskThread> chores_ = std::make_unique<TaskThread>("chores");
  std::unique_ptr<TaskThread> journal_ = std::make_unique<TaskThread>("journal");  // last: joined before what it uses
};

}  // namespace detent
