#include "host/runner.h"

#include <algorithm>

namespace detent {

namespace {
// How long a small sync is awaited without falling asleep: to do so and be woken takes a virtual core a third of what
// the publisher waits (bench: "one publish at a time").
constexpr std::chrono::microseconds kAwake{300};
constexpr Millis kDrainingLook{50};
}  // namespace

void run(Host& host, RouterSocket& socket, const std::atomic<bool>& stopping) {
  bool told = false;
  while (!host.drained()) {
    Millis wait = host.deadline() - system_now().mono;
    if (told) wait = std::min(wait, kDrainingLook);
    if (host.began_little() && socket.wakes_within(kAwake)) wait = Millis{0};
    socket.wait(wait, host.reads());
    if (stopping && !told) {
      told = true;
      host.stop();
    }
    host.turn(system_now());
  }
  host.close();
}

}  // namespace detent
