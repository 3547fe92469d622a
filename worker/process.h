// The worker's process: a link to the dispatcher on the loop's thread, attempts on another.
#pragma once

#include <memory>

#include "base/disk.h"
#include "config/config.h"

namespace detent {

class WorkerProcess {
 public:
  /// Throws Failure with one line where the config or this machine does not allow it.
  WorkerProcess(const Config& config, Disk& disk);
  ~WorkerProcess();

  /// Serves until it has drained after `stop`.
  void run();
  /// Once: nothing is begun any more, and it ends when what runs has ended and the dispatcher knows. Twice: what runs
  /// is cancelled. Any thread.
  void stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace detent
