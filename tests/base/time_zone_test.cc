#include "base/time_zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace detent {

namespace {

using testing::HasSubstr;

std::string refusal(std::string_view name) {
  const Result<TimeZone> zone = TimeZone::find(name);
  EXPECT_FALSE(zone.has_value()) << name;
  return zone ? "" : zone.error().what;
}

struct Variable {
  explicit Variable(const char* value) { setenv("TZ", value, 1); }
  ~Variable() { unsetenv("TZ"); }
};

}  // namespace

TEST(TimeZone, ShowsWhatTheClocksOfAPlaceShow) {
  EXPECT_EQ(TimeZone::find("Europe/Berlin")->show(Millis{1'795'356'127'000}), "2026-11-22 15:02 CET");
  EXPECT_EQ(TimeZone::find("Europe/Berlin")->show(Millis{1'782'000'000'000}), "2026-06-21 02:00 CEST");
  EXPECT_EQ(TimeZone().show(Millis{1'795'356'127'000}), "2026-11-22 14:02 UTC");
  EXPECT_EQ(TimeZone(), *TimeZone::find("UTC"));
}

TEST(TimeZone, CarriesItsRulesOnBeyondTheTableOfTheDatabase) {
  EXPECT_EQ(TimeZone::find("America/New_York")->show(Millis{2'540'000'000'000}), "2050-06-27 23:33 EDT");
}

TEST(TimeZone, AnUnknownNameIsAnErrorWithTheNearest) {
  EXPECT_EQ(refusal("Europe/Berln"),
            "zone \"Europe/Berln\" is not in the tz database, did you mean \"Europe/Berlin\"?");
  EXPECT_THAT(refusal("europe/berlin"), HasSubstr("did you mean \"Europe/Berlin\"?"));
  EXPECT_THAT(refusal("nowhere at all, in no way"), HasSubstr("write a name such as"));
  EXPECT_THAT(refusal(""), HasSubstr("not in the tz database"));
}

TEST(TimeZone, ANameCannotLeadOutOfTheDatabase) {
  refusal("/etc/localtime");
  refusal("../../../etc/localtime");
  refusal("file:/etc/localtime");
  refusal("Europe");
  refusal("zone.tab");
}

TEST(TimeZone, LocalIsTheMachinesOwn) {
  {
    const Variable variable(":Asia/Tokyo");
    EXPECT_EQ(TimeZone::find("local")->show(Millis{0}), "1970-01-01 09:00 JST");
    EXPECT_EQ(TimeZone::find("local")->name(), "local");
  }
  {
    const Variable variable("Nowhere/AtAll");
    EXPECT_THAT(refusal("local"), HasSubstr("Nowhere/AtAll"));
  }
  EXPECT_TRUE(TimeZone::find("local").has_value());
}

}  // namespace detent
