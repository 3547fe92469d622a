// The broker's process: the broker and its host on a real socket, real threads, a ledger and HTTP.
//
// Threads: `run` is the loop, which owns the socket and all state; the executor's two; the ledger's writer; HTTP's.
// They hand results to the loop with `Executor::post`. The loop never waits on any of them.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/disk.h"
#include "broker/broker.h"
#include "broker/http_api.h"
#include "bus/router_socket.h"
#include "config/config.h"
#include "host/host.h"
#include "host/thread_executor.h"

namespace detent {

class BrokerProcess {
 public:
  /// Recovers, listens. Throws Failure with one line where it cannot.
  BrokerProcess(const Config& config, Disk& disk);
  ~BrokerProcess();

  /// Serves until `stop`, then drains: what was taken in is synced and acknowledged, the ledger brought up to date.
  void run();
  /// Any thread.
  void stop();
  /// Reads the config file again, on the loop. Any thread.
  void reload();

  std::string endpoint() const { return socket_.endpoint(); }
  std::string http_url() const { return http_ ? http_->url() : std::string(); }

 private:
  RouterSocket socket_;
  ThreadExecutor executor_{[this] { socket_.wake(); }};
  Broker broker_;
  Host host_;
  std::unique_ptr<HttpApi> http_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace detent
