// The dispatcher's process: the dispatcher and its host on a real socket and real threads.
#pragma once

#include <atomic>
#include <string>

#include "base/disk.h"
#include "bus/router_socket.h"
#include "config/config.h"
#include "dispatch/dispatcher.h"
#include "host/host.h"
#include "host/thread_executor.h"

namespace detent {

class DispatchProcess {
 public:
  /// Recovers, listens, and connects to the broker. Throws Failure with one line where it cannot.
  DispatchProcess(const Config& config, Disk& disk);
  ~DispatchProcess();

  /// Serves until `stop`, then drains. What workers run goes on, and is known again after the next start.
  void run();
  /// Any thread.
  void stop();

  std::string endpoint() const { return socket_.endpoint(); }

 private:
  RouterSocket socket_;
  ThreadExecutor executor_{[this] { socket_.wake(); }};
  Dispatcher dispatcher_;
  Host host_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace detent
