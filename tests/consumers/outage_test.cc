#include "consumers/outage.h"

#include <gtest/gtest.h>

namespace detent::consumers {
namespace {

Now at(Millis passed) { return {Millis{1'000} + passed, Millis{1'795'000'000'000} + passed}; }
constexpr Millis kMinute{60'000};

TEST(Outage, NamesTheCauseOnceAndThenSinceWhen) {
  Outage outage;
  EXPECT_EQ(outage.failed("discord 503", at(Millis{0})), "delivery failed, retrying: discord 503");
  EXPECT_EQ(outage.failed("discord 503", at(kMinute)), "");
  EXPECT_EQ(outage.failed("timed out", at(2 * kMinute)),
            "delivery failed, retrying, since " + utc_millis(at(Millis{0}).wall) + ": timed out");
  EXPECT_EQ(outage.failed("timed out", at(61 * kMinute)), "");
  EXPECT_NE(outage.failed("timed out", at(62 * kMinute)), "");
}

TEST(Outage, SaysThatItIsOverAndReportsTheNextOneAnew) {
  Outage outage;
  (void)outage.failed("discord 503", at(Millis{0}));
  EXPECT_EQ(outage.delivered(at(5 * kMinute)), "resolved: delivering again after " + roughly(5 * kMinute));
  EXPECT_EQ(outage.delivered(at(6 * kMinute)), "");
  EXPECT_EQ(outage.failed("discord 503", at(7 * kMinute)), "delivery failed, retrying: discord 503");
}

TEST(Outage, AHiccupTakesOneLineHoweverOftenItComes) {
  Outage outage;
  int lines = 0;
  for (int i = 0; i < 20; ++i) {
    lines += !outage.failed("discord 503", at(i * kMinute)).empty();
    lines += !outage.delivered(at(i * kMinute + Millis{1'000})).empty();
  }
  EXPECT_EQ(lines, 1);
}

}  // namespace
}  // namespace detent::consumers
