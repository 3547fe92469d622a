// What the log says while a channel's deliveries fail: once with the cause, again when the cause changes and each hour,
// and once when it is over. Pure.
#pragma once

#include <string>

#include "base/clock.h"

namespace detent::consumers {

class Outage {
 public:
  /// A delivery failed and will be retried. The line for the log, or "" where nothing new is to be said.
  std::string failed(const std::string& why, Now now);
  /// A delivery arrived.
  std::string delivered(Now now);

 private:
  Now since_{};  // the first failure after the last success; zero: none
  std::string why_;
  Millis said_{0};
};

}  // namespace detent::consumers
