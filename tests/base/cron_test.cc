#include "base/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

namespace detent {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Cron cron(std::string_view text) {
  const Result<Cron> parsed = Cron::parse(text);
  EXPECT_TRUE(parsed.has_value()) << text << ": " << (parsed ? "" : parsed.error().what);
  return *parsed;
}

std::string refusal(std::string_view text) {
  const Result<Cron> parsed = Cron::parse(text);
  EXPECT_FALSE(parsed.has_value()) << text;
  return parsed ? "" : parsed.error().what;
}

Millis wall(const char* utc_text) {
  std::tm parts{};
  EXPECT_NE(strptime(utc_text, "%Y-%m-%d %H:%M:%S", &parts), nullptr) << utc_text;
  return std::chrono::seconds{timegm(&parts)};
}

/// The next `count` times from a UTC time on, as the zone's clocks show them.
std::vector<std::string> times(std::string_view text, const char* after, int count,
                               std::string_view zone_name = "UTC") {
  const TimeZone zone = *TimeZone::find(zone_name);
  const Cron parsed = cron(text);
  std::vector<std::string> out;
  Millis at = wall(after);
  for (int i = 0; i < count; ++i) out.push_back(zone.show(at = parsed.next(at, zone)));
  return out;
}

}  // namespace

TEST(Cron, ReadsListsRangesStepsAndNames) {
  EXPECT_THAT(times("0,30 8-9 * * *", "2026-11-22 00:00:00", 5),
              ElementsAre("2026-11-22 08:00 UTC", "2026-11-22 08:30 UTC", "2026-11-22 09:00 UTC",
                          "2026-11-22 09:30 UTC", "2026-11-23 08:00 UTC"));
  EXPECT_THAT(times("5-59/20 0 * * *", "2026-11-22 00:00:00", 3),
              ElementsAre("2026-11-22 00:05 UTC", "2026-11-22 00:25 UTC", "2026-11-22 00:45 UTC"));
  EXPECT_THAT(times("0 0 1 JAN,jul *", "2026-11-22 00:00:00", 2),
              ElementsAre("2027-01-01 00:00 UTC", "2027-07-01 00:00 UTC"));
  EXPECT_THAT(times(" 0\t7  * *  mon-fri ", "2026-11-20 06:00:00", 3),  // a Friday
              ElementsAre("2026-11-20 07:00 UTC", "2026-11-23 07:00 UTC", "2026-11-24 07:00 UTC"));
}

TEST(Cron, SundayIsBothZeroAndSeven) {
  for (const char* text : {"0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "0 0 * * 7-7"})
    EXPECT_THAT(times(text, "2026-11-23 00:00:00", 2), ElementsAre("2026-11-29 00:00 UTC", "2026-12-06 00:00 UTC"))
        << text;
  for (const char* text : {"0 0 * * 6-7", "0 0 * * sat-sun", "0 0 * * sat,sun"})
    EXPECT_THAT(times(text, "2026-11-23 00:00:00", 3),
                ElementsAre("2026-11-28 00:00 UTC", "2026-11-29 00:00 UTC", "2026-12-05 00:00 UTC"))
        << text;
}

TEST(Cron, ShorthandsMeanWhatCrontabSays) {
  EXPECT_THAT(times("@hourly", "2026-11-22 10:30:00", 1), ElementsAre("2026-11-22 11:00 UTC"));
  EXPECT_THAT(times("@daily", "2026-11-22 10:30:00", 1), ElementsAre("2026-11-23 00:00 UTC"));
  EXPECT_THAT(times("@weekly", "2026-11-23 10:30:00", 1), ElementsAre("2026-11-29 00:00 UTC"));
  EXPECT_THAT(times("@monthly", "2026-11-22 10:30:00", 1), ElementsAre("2026-12-01 00:00 UTC"));
  EXPECT_THAT(times("@Yearly", "2026-11-22 10:30:00", 1), ElementsAre("2027-01-01 00:00 UTC"));
}

TEST(Cron, EitherDayFiresWhereBothAreGivenAsInVixiesCron) {
  // The 1st, and each Monday.
  EXPECT_THAT(times("0 0 1 * 1", "2026-11-24 00:00:00", 3),
              ElementsAre("2026-11-30 00:00 UTC", "2026-12-01 00:00 UTC", "2026-12-07 00:00 UTC"));
  // One that begins with a star only narrows: odd days that are Mondays; the 13th, whatever the day.
  EXPECT_THAT(times("0 0 */2 * 1", "2026-11-24 00:00:00", 2),
              ElementsAre("2026-12-07 00:00 UTC", "2026-12-21 00:00 UTC"));
  EXPECT_THAT(times("0 0 13 * *", "2026-11-24 00:00:00", 2),
              ElementsAre("2026-12-13 00:00 UTC", "2027-01-13 00:00 UTC"));
}

TEST(Cron, FindsLeapDaysHoweverFar) {
  EXPECT_THAT(times("0 12 29 2 *", "2096-03-01 00:00:00", 2),
              ElementsAre("2104-02-29 12:00 UTC", "2108-02-29 12:00 UTC"));
  EXPECT_THAT(times("0 0 29 2 */4", "2026-11-22 00:00:00", 2),
              ElementsAre("2032-02-29 00:00 UTC", "2052-02-29 00:00 UTC"));
  EXPECT_THAT(times("59 23 31 12 *", "2026-12-31 23:59:00", 1), ElementsAre("2027-12-31 23:59 UTC"));
  EXPECT_THAT(times("* * * * *", "2026-12-31 23:59:00", 1), ElementsAre("2027-01-01 00:00 UTC"));
}

TEST(Cron, NextIsStrictlyLaterAlsoWithinASecond) {
  const Cron minutely = cron("* * * * *");
  EXPECT_EQ(minutely.next(Millis{59'999}, {}), Millis{60'000});
  EXPECT_EQ(minutely.next(Millis{60'000}, {}), Millis{120'000});
  EXPECT_EQ(minutely.next(Millis{-1}, {}), Millis{0});
  EXPECT_EQ(cron("0 0 * * *").next(Millis{-1}, {}), Millis{0});
}

TEST(CronChangeOfClocks, ATimeThatIsSkippedFiresOnceAtTheNextMoment) {
  EXPECT_THAT(times("30 2 * * *", "2026-03-28 00:00:00", 3, "Europe/Berlin"),
              ElementsAre("2026-03-28 02:30 CET", "2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST"));
  EXPECT_THAT(times("*/10 2 * * *", "2026-03-28 02:00:00", 2, "Europe/Berlin"),
              ElementsAre("2026-03-29 03:00 CEST", "2026-03-30 02:00 CEST"));
  EXPECT_THAT(times("0 2,3 * * *", "2026-03-28 12:00:00", 2, "Europe/Berlin"),
              ElementsAre("2026-03-29 03:00 CEST", "2026-03-30 02:00 CEST"));
  EXPECT_THAT(times("15 2 * * *", "2026-03-07 12:00:00", 2, "America/New_York"),
              ElementsAre("2026-03-08 03:00 EDT", "2026-03-09 02:15 EDT"));
  // Half an hour: 02:00 to 02:30.
  EXPECT_THAT(times("10 2 * * *", "2026-10-03 00:00:00", 2, "Australia/Lord_Howe"),
              ElementsAre("2026-10-04 02:30 +11", "2026-10-05 02:10 +11"));
  // A whole day: Samoa had no 30 December 2011.
  EXPECT_THAT(times("0 12 30 12 *", "2011-12-01 00:00:00", 2, "Pacific/Apia"),
              ElementsAre("2011-12-31 00:00 +14", "2012-12-30 12:00 +14"));
}

TEST(CronChangeOfClocks, ATimeThatComesTwiceFiresTheFirstTime) {
  EXPECT_THAT(times("30 2 * * *", "2026-10-24 12:00:00", 2, "Europe/Berlin"),
              ElementsAre("2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"));
  EXPECT_THAT(times("30 1 * * *", "2026-10-31 12:00:00", 2, "America/New_York"),
              ElementsAre("2026-11-01 01:30 EDT", "2026-11-02 01:30 EST"));
  EXPECT_THAT(times("45 1 * * *", "2026-04-04 00:00:00", 2, "Australia/Lord_Howe"),
              ElementsAre("2026-04-05 01:45 +11", "2026-04-06 01:45 +1030"));
  // Asked while the second of the two goes by.
  EXPECT_THAT(times("30,50 2 * * *", "2026-10-25 01:10:00", 1, "Europe/Berlin"), ElementsAre("2026-10-26 02:30 CET"));
}

TEST(CronChangeOfClocks, WhatFiresEveryHourGoesByTheHoursThatPass) {
  EXPECT_THAT(times("30 * * * *", "2026-03-29 00:00:00", 3, "Europe/Berlin"),
              ElementsAre("2026-03-29 01:30 CET", "2026-03-29 03:30 CEST", "2026-03-29 04:30 CEST"));
  EXPECT_THAT(
      times("0 * * * *", "2026-10-24 23:30:00", 4, "Europe/Berlin"),
      ElementsAre("2026-10-25 02:00 CEST", "2026-10-25 02:00 CET", "2026-10-25 03:00 CET", "2026-10-25 04:00 CET"));
  EXPECT_THAT(times("0 * * * *", "2026-10-03 14:45:00", 3, "Australia/Lord_Howe"),
              ElementsAre("2026-10-04 03:00 +11", "2026-10-04 04:00 +11", "2026-10-04 05:00 +11"));
  // The day may end in a change: on 25 October alone, in both of its hours.
  EXPECT_THAT(times("0 * 25 10 *", "2026-10-25 00:30:00", 2, "Europe/Berlin"),
              ElementsAre("2026-10-25 02:00 CET", "2026-10-25 03:00 CET"));
}

TEST(CronErrors, NameTheFieldAndWhatIsWrong) {
  EXPECT_EQ(refusal("61 * * * *"), "cron \"61 * * * *\": minute: 61 is not within 0-59");
  EXPECT_THAT(refusal("0 24 * * *"), HasSubstr("hour: 24 is not within 0-23"));
  EXPECT_THAT(refusal("0 0 0 * *"), HasSubstr("day of the month: 0 is not within 1-31"));
  EXPECT_THAT(refusal("0 0 * 99999999999999 *"), HasSubstr("month: 99999999999999 is not within 1-12"));
  EXPECT_THAT(refusal("0 0 * * 8"), HasSubstr("day of the week: 8 is not within 0-7"));
  EXPECT_THAT(refusal("0 0 * febr *"), HasSubstr("month: \"febr\" is neither a number nor one of jan, feb"));
  EXPECT_THAT(refusal("0 0 * febr *"), HasSubstr("did you mean \"feb\"?"));
  EXPECT_THAT(refusal("a * * * *"), HasSubstr("minute: \"a\" is not a number"));
  EXPECT_THAT(refusal("-5 * * * *"), HasSubstr("minute: a number is missing"));
  EXPECT_THAT(refusal("0 5- * * *"), HasSubstr("hour: a number is missing"));
  EXPECT_THAT(refusal("0 17-5 * * *"), HasSubstr("hour: the range 17-5 goes backwards"));
  EXPECT_THAT(refusal("0, * * * *"), HasSubstr("minute: a value is missing"));
  EXPECT_THAT(refusal("/5 * * * *"), HasSubstr("minute: \"/5\" has no range before its /"));
}

TEST(CronErrors, AStepThatMeansSomethingElseIsRefused) {
  EXPECT_THAT(refusal("*/90 * * * *"), HasSubstr("minute: the step of \"*/90\" is not within 1-59"));
  EXPECT_THAT(refusal("*/0 * * * *"), HasSubstr("minute: the step of \"*/0\" is not within 1-59"));
  EXPECT_THAT(refusal("*/ * * * *"), HasSubstr("minute: the step of \"*/\": a number is missing"));
  EXPECT_THAT(refusal("5/15 * * * *"), HasSubstr("minute: a step needs a range: write 5-59/15 in place of 5/15"));
}

TEST(CronErrors, NameTheFieldsWhereTheirNumberIsWrong) {
  EXPECT_THAT(refusal(""), HasSubstr("0 fields in place of five: minute, hour"));
  EXPECT_THAT(refusal("* * * *"), HasSubstr("4 fields"));
  EXPECT_THAT(refusal("0 * * * * *"), HasSubstr("6 fields"));
  EXPECT_THAT(refusal("@reboot"), HasSubstr("only @hourly"));
  EXPECT_THAT(refusal("0 * *\n* *"), Not(HasSubstr("\n")));
  EXPECT_THAT(refusal(std::string(2000, ' ')), HasSubstr("at most 1024"));
}

TEST(CronErrors, WhatWouldNeverFireIsOne) {
  EXPECT_THAT(refusal("0 0 30 2 *"), HasSubstr("it would never fire"));
  EXPECT_THAT(refusal("0 0 31 2,4,6,9,11 *"), HasSubstr("it would never fire"));
  EXPECT_THAT(refusal("0 0 30 2 */2"), HasSubstr("it would never fire"));
  EXPECT_THAT(times("0 0 30 2 1", "2026-11-22 00:00:00", 1),
              ElementsAre("2027-02-01 00:00 UTC"));  // any Monday in February
}

}  // namespace detent
