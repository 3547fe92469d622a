// One attempt of a task: a command under its guard, from its folder to its outcome.
//
// Belongs to one thread, which it never blocks for longer than the making of its folder takes (a prompt of some MiB),
// but where its guard itself was killed: then it ends by itself what is left, for at most some seconds.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/clock.h"
#include "base/result.h"
#include "worker/attempt_folder.h"
#include "worker/attempt_record.h"
#include "worker/config.h"
#include "worker/guard.h"
#include "worker/isolation.h"
#include "worker/outcome.h"
#include "worker/output.h"

namespace detent {

class Attempt {
 public:
  /// `isolation` outlives it. `line` is called with what it prints, from `poll` alone. The error says why it could not
  /// be started (a secret's file, a prompt too long, the disk): an attempt that failed.
  static Result<Attempt> start(const Isolation& isolation, const RunnerConfig& runner, AttemptOrder order,
                               Output::Line line, Millis mono);

  Attempt(Attempt&& other) noexcept;
  Attempt& operator=(Attempt&& other) noexcept;
  /// Where it still runs, all of it is ended first, which takes some milliseconds.
  ~Attempt();

  /// Reads what it printed, and ends it when its time is up. Its outcome, once, when nothing of it is left.
  std::optional<Outcome> poll(Millis mono);
  /// TERM, then after the runner's grace KILL. Its outcome still comes by `poll`.
  void cancel(Millis mono);

  /// What to wait for with poll(2) before the next `poll`; besides that, `poll` wants to be called by `next()`.
  std::vector<int> descriptors() const;
  Millis next() const;

  const std::string& name() const { return record_.name; }
  /// That of the command; 0 until it is known.
  pid_t pid() const { return pid_; }
  Millis started() const { return started_; }

 private:
  Attempt() = default;
  void hear();
  void keep_time(Millis mono);
  void say(char what) const;
  void take_over();
  Outcome outcome(const Child::Exit& exit, Millis mono);
  void let_go();

  const Isolation* isolation_ = nullptr;
  RunnerConfig runner_;
  AttemptRecord record_;
  std::filesystem::path folder_;
  std::optional<Child> guard_;
  int socket_ = -1;  // to the guard
  std::unique_ptr<Output> output_;
  std::unique_ptr<Millis> mono_;  // of the poll under way, for the output that comes in it
  pid_t pid_ = 0;
  Millis started_{0}, time_{0};
  std::optional<Millis> asked_;  // to end, at
  bool told_ = false;            // to end now
  bool cancelled_ = false, timed_out_ = false;
  std::optional<GuardReport> report_;  // that it failed or ended
};

}  // namespace detent
