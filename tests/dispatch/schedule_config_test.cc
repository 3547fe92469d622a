#include "dispatch/schedule_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/config.h"
#include "tests/support/paths.h"

namespace detent {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;

std::vector<ScheduleEntry> good(const std::string& text) {
  const Result<Config> config = parse_config(text, "detent.toml");
  EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().what);
  return config ? config->of<ScheduleConfig>().schedules : std::vector<ScheduleEntry>{};
}

std::string wrong(const std::string& text) {
  const Result<Config> config = parse_config(text, "detent.toml");
  EXPECT_FALSE(config.has_value());
  return config ? "" : config.error().what;
}

/// A schedule that is complete but for what stands in `lines`.
std::string schedule_with(const std::string& lines) {
  return "[[schedule]]\nname = \"n\"\nrunner = \"r\"\nprompt = \"p\"\n" + lines;
}

}  // namespace

TEST(ScheduleConfig, ReadsEveryKey) {
  const auto all = good(R"(
    [[schedule]]
    name = "weekly-review"
    cron = "0 7 * * mon"
    zone = "Europe/Berlin"
    jitter = "5m"
    missed = "2h"
    enabled = false
    runner = "openclaw"
    prompt = "Review the week."
    title = "Weekly review"
    priority = 5
    timeout = "2h"
    retries = 2
    labels = { team = "infra" }
    needs = { gpu = "1" }
  )");
  ASSERT_THAT(all, SizeIs(1));
  const ScheduleEntry& entry = all[0];
  EXPECT_EQ(entry.schedule.name, "weekly-review");
  EXPECT_EQ(entry.schedule.cron.text(), "0 7 * * mon");
  EXPECT_EQ(entry.schedule.zone.name(), "Europe/Berlin");
  EXPECT_EQ(entry.schedule.jitter, std::chrono::minutes{5});
  EXPECT_EQ(entry.schedule.missed, (MissedPolicy{MissedPolicy::kWithin, std::chrono::hours{2}}));
  EXPECT_FALSE(entry.enabled);
  EXPECT_EQ(entry.runner, "openclaw");
  EXPECT_EQ(entry.prompt, "Review the week.");
  EXPECT_EQ(entry.title, "Weekly review");
  EXPECT_EQ(entry.priority, 5);
  EXPECT_EQ(entry.timeout, std::chrono::hours{2});
  EXPECT_EQ(entry.retries, 2u);
  EXPECT_THAT(entry.labels, ElementsAre(Pair("team", "infra")));
  EXPECT_THAT(entry.needs, ElementsAre(Pair("gpu", "1")));
  EXPECT_EQ(entry.at, "detent.toml:2:5");
}

TEST(ScheduleConfig, WhatIsNotSaidIsUtcWithoutJitterAndSkipsWhatIsMissed) {
  const auto all = good(schedule_with("cron = \"@daily\"\n"));
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].schedule.zone.name(), "UTC");
  EXPECT_EQ(all[0].schedule.jitter, Millis{0});
  EXPECT_EQ(all[0].schedule.missed.kind, MissedPolicy::kSkip);
  EXPECT_TRUE(all[0].enabled);
  EXPECT_EQ(good(schedule_with("cron = \"@daily\"\nmissed = \"once\"\n"))[0].schedule.missed.kind, MissedPolicy::kOnce);
}

TEST(ScheduleConfig, WhatIsDisabledDoesNotRun) {
  const auto config = parse_config(schedule_with("cron = \"@daily\"\nenabled = false\n"), "detent.toml");
  EXPECT_THAT(config->of<ScheduleConfig>().schedules, SizeIs(1));
  EXPECT_THAT(config->of<ScheduleConfig>().enabled(), SizeIs(0));
}

TEST(ScheduleConfig, AWrongValueIsNamedWithItsLine) {
  EXPECT_THAT(wrong(schedule_with("cron = \"0 25 * * *\"\n")),
              HasSubstr("detent.toml:5:8: cron \"0 25 * * *\": hour: 25 is not within 0-23"));
  EXPECT_THAT(wrong(schedule_with("cron = 5\n")), HasSubstr("detent.toml:5:8: cron must be a string"));
  EXPECT_THAT(wrong(schedule_with("cron = \"0 0 30 2 *\"\n")), HasSubstr("never fire"));
  EXPECT_THAT(
      wrong(schedule_with("cron = \"@daily\"\nzone = \"Europe/Berlni\"\n")),
      HasSubstr("detent.toml:6:8: zone \"Europe/Berlni\" is not in the tz database, did you mean \"Europe/Berlin\"?"));
  EXPECT_THAT(wrong(schedule_with("cron = \"@daily\"\nmissed = \"twice\"\n")),
              HasSubstr("detent.toml:6:10: missed must be \"skip\", \"once\", or a duration such as \"2h\""));
  EXPECT_THAT(wrong(schedule_with("cron = \"@daily\"\nmised = \"once\"\n")),
              HasSubstr("unknown key \"mised\" in [schedule], did you mean \"missed\"?"));
  EXPECT_THAT(wrong(schedule_with("cron = \"@daily\"\nlabels = { a = 1 }\n")), HasSubstr("a must be a string"));
  EXPECT_THAT(wrong("[schedule]\nname = \"n\"\n"), HasSubstr("schedule must be written as [[schedule]]"));
  EXPECT_THAT(wrong("schedule = [1]\n"), HasSubstr("schedule must be written as [[schedule]]"));
}

TEST(ScheduleConfig, WhatIsNeededIsAskedFor) {
  const std::string text = wrong("[[schedule]]\n");
  EXPECT_THAT(text, HasSubstr("detent.toml:1:1: this [[schedule]] has no name: add name = \"…\""));
  for (const char* needed : {"cron", "runner", "prompt"}) EXPECT_THAT(text, HasSubstr(std::string("has no ") + needed));
}

TEST(ScheduleConfig, ANameStandsForOneSchedule) {
  const std::string text = schedule_with("cron = \"@daily\"\n") + schedule_with("cron = \"@hourly\"\n");
  EXPECT_THAT(wrong(text), HasSubstr("detent.toml:7:8: a schedule \"n\" is there already, at detent.toml:1:1"));
  EXPECT_THAT(wrong("[[schedule]]\nname = \"a/b\"\ncron = \"@daily\"\nrunner = \"r\"\nprompt = \"p\"\n"),
              HasSubstr("name must be 1 to 64 letters"));
}

TEST(ScheduleConfig, TheExampleFileShowsThem) {
  std::ifstream in(test::source_folder() / "detent.example.toml");
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_THAT(good(text.str()), SizeIs(1));
}

}  // namespace detent
