// Where a host's slow work is done, and when its results come back: on threads in production (ThreadExecutor), step by
// step in a test (SteppedExecutor).
#pragma once

#include <functional>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

class Executor {
 public:
  virtual ~Executor() = default;

  using OnLoop = std::function<void(Now)>;
  /// Done off the loop. What it returns is done on the loop, later; null: nothing.
  using Job = std::function<OnLoop()>;

  /// Two lanes, each of which does its jobs one after another in the order given: one for the journal's writes and
  /// syncs, which clients wait for, and one for what may take its time. Loop.
  virtual void journal(Job job) = 0;
  virtual void chore(Job job) = 0;
  /// To be done on the loop. Any thread.
  virtual void post(OnLoop task) = 0;
  /// Does what came back or was posted. Loop.
  virtual void run_posted(Now now) = 0;
  /// The journal cannot be written: nothing more may be done or acknowledged, and the next start recovers. Any thread.
  virtual void stop(const Error& error) = 0;
};

}  // namespace detent
