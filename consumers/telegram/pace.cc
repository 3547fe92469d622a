#include "consumers/telegram/pace.h"

#include <algorithm>

namespace detent::telegram {
namespace {

constexpr size_t kBurst = 4;  // in as many seconds
constexpr size_t kGroupInAMinute = 20;
constexpr Millis kMinute{60'000};

}  // namespace

Millis Pace::wait(Millis now) const {
  Millis until = until_;
  if (recent_.size() >= kBurst) until = std::max(until, recent_[recent_.size() - kBurst] + Millis{1000 * kBurst});
  if (group_ && recent_.size() >= kGroupInAMinute) {
    until = std::max(until, recent_[recent_.size() - kGroupInAMinute] + kMinute);
  }
  return std::max(until - now, Millis{0});
}

void Pace::sent(Millis now) {
  recent_.push_back(now);
  while (recent_.front() + kMinute <= now) recent_.pop_front();
}

void Pace::pause(Millis span, Millis now) { until_ = std::max(until_, now + span); }

}  // namespace detent::telegram
