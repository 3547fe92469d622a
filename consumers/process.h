// A consumer as a process: one loop thread that owns the connection to the broker and all agents, and each agent's own
// sender thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "consumers/agent.h"

namespace detent::consumers {

class Process {
 public:
  /// `broker` is its ZeroMQ endpoint, `name` for people. Throws Failure where the endpoint is none.
  Process(const std::string& broker, const std::string& name, std::vector<Served> served);
  ~Process();

  /// Delivers until `stop`, then finishes what is in flight (10 s at most) and takes leave of the broker.
  void run();
  /// Any thread.
  void stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace detent::consumers
