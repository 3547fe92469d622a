// When a message to a Telegram chat may go: about one a second with short bursts, 20 a minute to a group (the Bot FAQ's
// figures; the server's own are not published), and not before a 429 said. Pure: the monotonic time is handed in. One
// thread.
#pragma once

#include <deque>

#include "base/clock.h"

namespace detent::telegram {

class Pace {
 public:
  explicit Pace(bool group) : group_(group) {}

  /// How long to wait until a message may go; 0: it may go.
  Millis wait(Millis now) const;
  void sent(Millis now);
  /// The server asked for this long a pause.
  void pause(Millis span, Millis now);

 private:
  bool group_;
  std::deque<Millis> recent_;  // what went during the last minute
  Millis until_{0};
};

}  // namespace detent::telegram
