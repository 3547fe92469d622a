// A consumer as a process: one loop thread that owns the connection to the broker and all couriers, one sender thread
// for each channel.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "consumers/channel.h"

namespace detent::consumers {

/// A channel to be served. `secret` may be shared between channels.
struct Served {
  std::string name;  // "discord.alerts"
  std::unique_ptr<Channel> channel;
  std::shared_ptr<Secret> secret;
};

class Process {
 public:
  /// `broker` is its ZeroMQ endpoint, `name` for people. Throws Failure where the endpoint is none.
  Process(const std::string& broker, const std::string& name, std::vector<Served> served);
  ~Process();

  /// Delivers until `stop`, then finishes what is under way (10 s at most) and takes leave of the broker.
  void run();
  /// Any thread.
  void stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

/// Runs a Process until SIGTERM or SIGINT; the exit code of `main`. Called before any other thread is started.
int serve(const std::string& broker, const std::string& name, std::vector<Served> served);

}  // namespace detent::consumers
