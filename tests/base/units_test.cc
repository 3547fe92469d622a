#include "base/units.h"

#include <gtest/gtest.h>

namespace detent {

TEST(Units, ReadsDurations) {
  EXPECT_EQ(parse_duration("500ms"), Millis{500});
  EXPECT_EQ(parse_duration("10m"), std::chrono::minutes{10});
  EXPECT_EQ(parse_duration("30d"), std::chrono::hours{720});
  for (const char* bad : {"", "10", "m", "-5s", "1.5h", "5 minutes", "99999999999999999999s", "9999999999999999w"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(Units, ReadsSizes) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64MiB"), 64u << 20);
  EXPECT_EQ(parse_size("1 GiB"), 1u << 30);
  EXPECT_EQ(parse_size("3MB"), 3'000'000u);
  for (const char* bad : {"", "GiB", "-1", "1.5GiB", "1XB", "18446744073709551615TiB"})
    EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Units, MatchesGlobs) {
  EXPECT_TRUE(glob_matches("incident.*", "incident.detected"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("a*b*c", "aXbYbZc"));
  EXPECT_TRUE(glob_matches("h?st", "host"));
  EXPECT_FALSE(glob_matches("incident.*", "incident"));
  EXPECT_FALSE(glob_matches("a*b", "abc"));
  EXPECT_FALSE(glob_matches("", "a"));
  EXPECT_FALSE(glob_matches("?", ""));
}

TEST(Units, GuessesOnlyNearNames) {
  constexpr std::string_view names[] = {"channels", "api", "token_file"};
  EXPECT_EQ(nearest_name("chanels", names), "channels");
  EXPECT_EQ(nearest_name("tokenfile", names), "token_file");
  EXPECT_FALSE(nearest_name("quiet_hours", names));
  EXPECT_FALSE(nearest_name("x", names));
}

}  // namespace detent
