#include "tests/support/eventually.h"

#include <thread>

namespace detent {

namespace {
constexpr Millis kBetweenLooks{5};
}

bool eventually(const std::function<bool()>& condition, Millis patience) {
  const Millis until = system_now().mono + patience;
  while (!condition()) {
    if (system_now().mono >= until) return false;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return true;
}

}  // namespace detent
