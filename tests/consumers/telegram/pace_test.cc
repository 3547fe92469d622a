#include "consumers/telegram/pace.h"

#include <gtest/gtest.h>

namespace detent::telegram {
namespace {

constexpr Millis kStart{100'000};

TEST(Pace, AllowsAShortBurstAndThenOneASecond) {
  Pace pace(false);
  Millis now = kStart;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(pace.wait(now), Millis{0});
    pace.sent(now);
  }
  EXPECT_EQ(pace.wait(now), Millis{4000});
  int sent = 0;
  for (; now < kStart + Millis{60'000}; now += Millis{100}) {
    if (pace.wait(now) == Millis{0}) {
      pace.sent(now);
      ++sent;
    }
  }
  EXPECT_LE(sent, 61);
}

TEST(Pace, KeepsAGroupToTwentyAMinute) {
  Pace pace(true);
  int sent = 0;
  for (Millis now = kStart; now < kStart + Millis{60'000}; now += Millis{100}) {
    if (pace.wait(now) == Millis{0}) {
      pace.sent(now);
      ++sent;
    }
  }
  EXPECT_EQ(sent, 20);
}

TEST(Pace, PausesAsAsked) {
  Pace pace(false);
  pace.pause(Millis{5000}, kStart);
  EXPECT_EQ(pace.wait(kStart + Millis{1000}), Millis{4000});
}

}  // namespace
}  // namespace detent::telegram
