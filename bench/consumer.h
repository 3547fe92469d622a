// A consumer that settles whatever comes as delivered, for the measurements.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/connection.h"

namespace detent::bench {

/// One thread.
class Consumer {
 public:
  Consumer(const std::string& endpoint, std::string channel);
  /// Waits and handles what came; every delivered signal is handed to `seen` and then settled.
  void turn(Millis timeout, const std::function<void(std::string_view signal)>& seen);
  bool is_open() { return connection_.link().is_open(); }
  /// Returns once all that was settled is durable.
  void bye();

 private:
  void on_deliver(std::string_view body, const std::function<void(std::string_view)>& seen);

  std::string channel_;
  Connection connection_;
  std::string settled_, frame_;
  bool gone_ = false;
};

}  // namespace detent::bench
