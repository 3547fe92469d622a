#include "consumers/outage.h"

#include <utility>

#include "base/clock.h"

namespace detent::consumers {
namespace {

constexpr Millis kSayAgain{3'600'000};
/// One that is over sooner is not worth a second line.
constexpr Millis kWorthALine{60'000};

}  // namespace

std::string Outage::failed(const std::string& why, Now now) {
  const bool first = since_.wall == Millis{0};
  if (first) since_ = now;
  if (why == why_ && now.mono - said_ < kSayAgain) return "";
  why_ = why;
  said_ = now.mono;
  return "delivery failed, retrying" + (first ? std::string() : ", since " + utc_millis(since_.wall)) + ": " + why;
}

std::string Outage::delivered(Now now) {
  if (since_.wall == Millis{0}) return "";
  const Now since = std::exchange(since_, Now{});
  if (now.mono - since.mono < kWorthALine) return "";
  why_.clear();  // the next outage is another one
  return "resolved: delivering again after " + roughly(now.mono - since.mono);
}

}  // namespace detent::consumers
