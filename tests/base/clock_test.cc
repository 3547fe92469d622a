#include "base/clock.h"

#include <gtest/gtest.h>

namespace detent {

TEST(Clock, WritesWallTimesAsUtc) {
  EXPECT_EQ(utc(Millis{1795357327123}), "2026-11-22T14:22:07Z");
  EXPECT_EQ(utc_millis(Millis{1795357327123}), "2026-11-22T14:22:07.123Z");
}

TEST(Clock, SaysSpansInTheirLargestWholeUnit) {
  EXPECT_EQ(roughly(Millis{45'000}), "45 s");
  EXPECT_EQ(roughly(std::chrono::hours{6}), "6 h");
  EXPECT_EQ(roughly(std::chrono::hours{24 * 3}), "3 d");
}

}  // namespace detent
