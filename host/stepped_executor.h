// An executor whose jobs are done when a test says so, one at a time, on the test's own thread.
#pragma once

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "host/executor.h"

namespace detent {

class SteppedExecutor : public Executor {
 public:
  void journal(Job job) override { journal_.push_back(std::move(job)); }
  void chore(Job job) override { chores_.push_back(std::move(job)); }
  void post(OnLoop task) override { posted_.push_back(std::move(task)); }
  void run_posted(Now now) override {
    for (const auto& task : std::exchange(posted_, {})) task(now);
  }
  void stop(const Error& error) override { failure_ = error; }

  size_t journal_jobs() const { return journal_.size(); }
  size_t chores() const { return chores_.size(); }
  bool idle() const { return journal_.empty() && chores_.empty() && posted_.empty(); }
  /// Does the lane's next job; its result waits for `run_posted`. After a failure no job is done any more.
  void step_journal() { step(journal_); }
  void step_chore() { step(chores_); }
  /// Why the journal cannot be written.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void step(std::deque<Job>& lane) {
    if (lane.empty() || failure_) return;
    const Job job = std::move(lane.front());
    lane.pop_front();
    if (OnLoop task = job()) posted_.push_back(std::move(task));
  }

  std::deque<Job> journal_, chores_;
  std::vector<OnLoop> posted_;
  std::optional<Error> failure_;
};

}  // namespace detent
