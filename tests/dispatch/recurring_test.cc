#include "dispatch/recurring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/dispatch/alone.h"

namespace detent::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Now kStart{1h, Millis{1'795'342'030'000}};  // 2026-11-22 10:07:10 UTC

std::string every_five_minutes(const std::string& more = "") {
  return "[[schedule]]\nname = \"review\"\ncron = \"*/5 * * * *\"\nrunner = \"echo\"\nprompt = \"Review.\"\n" + more;
}

/// "10:10", "10:15 queued": the tasks, in the order in which they came.
std::vector<std::string> tasks(Alone& alone) {
  std::vector<std::string> out;
  for (const auto& entry : alone->core().queue().all()) {
    const Task& task = *entry.second;
    const bool fired = task.id == firing_id("review", task.id.time());
    out.push_back(fired ? TimeZone().show(task.id.time()).substr(11, 5) : task.title);
  }
  return out;
}

}  // namespace

TEST(Recurring, ATimeThatComesMakesOneTask) {
  Alone alone(every_five_minutes("title = \"The review\"\npriority = 3\nretries = 2\ntimeout = \"2h\""), kStart);
  alone.pass(2min);
  EXPECT_THAT(tasks(alone), IsEmpty());
  alone.pass(9min);
  EXPECT_THAT(tasks(alone), ElementsAre("10:10", "10:15"));
  const Task& task = *alone->core().queue().all().begin()->second;
  EXPECT_EQ(task.title, "The review");
  EXPECT_EQ(task.runner, "echo");
  EXPECT_EQ(task.priority, 3);
  EXPECT_EQ(task.retries, 2u);
  EXPECT_EQ(task.timeout_ms, 7'200'000u);
}

TEST(Recurring, AKillAtAnyTimeMakesNoSecondTask) {
  Alone alone(every_five_minutes(), kStart);
  for (int i = 0; i < 40; ++i) {
    alone.pass(31s);
    alone.die(1s);
  }
  EXPECT_THAT(tasks(alone), ElementsAre("10:10", "10:15", "10:20", "10:25"));
}

TEST(Recurring, WhatWasMissedWhileItWasDownIsCountedOrMadeUpFor) {
  Alone skips(every_five_minutes(), kStart);
  skips.pass(4min);
  skips.stop_and_start(12min);
  skips.pass(1s);
  EXPECT_THAT(tasks(skips), ElementsAre("10:10"));
  const auto views = skips->recurring().views();
  EXPECT_EQ(views.at(0).mark.missed.count, 2u);
  EXPECT_EQ(TimeZone().show(views[0].mark.missed.last), "2026-11-22 10:20 UTC");

  Alone catches_up(every_five_minutes("missed = \"once\""), kStart);
  catches_up.pass(4min);
  catches_up.stop_and_start(12min);
  catches_up.pass(1s);
  EXPECT_THAT(tasks(catches_up), ElementsAre("10:10", "10:20"));
  EXPECT_EQ(catches_up->recurring().views().at(0).mark.missed.count, 1u);
}

TEST(Recurring, AScheduleThatIsTakenOutAndPutBackStartsAnew) {
  Alone alone(every_five_minutes("missed = \"once\""), kStart);
  alone.pass(4min);
  alone.stop_and_start(1s, every_five_minutes("enabled = false"));
  alone.pass(10min);
  EXPECT_THAT(alone->recurring().views(), IsEmpty());
  alone.die();
  alone.stop_and_start(1s, every_five_minutes("missed = \"once\""));
  alone.pass(1min);
  EXPECT_THAT(tasks(alone), ElementsAre("10:10"));
  EXPECT_EQ(alone->recurring().views().at(0).mark.missed.count, 0u);
}

TEST(Recurring, RunByHandMakesATaskThatSaysSoBesideThoseThatAreDue) {
  Alone alone(every_five_minutes(), kStart);
  alone.pass(1s);
  auto& recurring = const_cast<Recurring&>(alone->recurring());
  const Ulid id = firing_id("by hand", alone.now().wall);
  EXPECT_EQ(recurring.run("review", id, alone.now()).value(), id);
  EXPECT_EQ(recurring.run("review", id, alone.now()).value(), id);
  EXPECT_NE(recurring.run("review", std::nullopt, alone.now()).value(), id);
  alone.pass(4min);
  EXPECT_THAT(tasks(alone), ElementsAre("review (by hand)", "review (by hand)", "10:10"));
  EXPECT_THAT(recurring.run("reviews", id, alone.now()).error().what,
              HasSubstr("no schedule \"reviews\", but: review"));
}

TEST(Recurring, NothingIsSubmittedWhileTheDiskIsLow) {
  Alone alone(every_five_minutes("missed = \"once\""), kStart);
  alone.pass(1s);
  auto& recurring = const_cast<Recurring&>(alone->recurring());
  alone->space({.free = 1, .low = true}, alone.now());
  alone->tick({alone.now().mono + 10min, alone.now().wall + 10min});
  EXPECT_THAT(tasks(alone), IsEmpty());
  EXPECT_THAT(recurring.run("review", std::nullopt, alone.now()).error().what, HasSubstr("low"));
  alone->space({.free = 1 << 30}, alone.now());
  alone->tick({alone.now().mono + 11min, alone.now().wall + 11min});
  EXPECT_THAT(tasks(alone), ElementsAre("10:15"));
}

TEST(Recurring, TheNextTimesAreThoseThatWillFire) {
  Alone alone(every_five_minutes("jitter = \"2m\""), kStart);
  alone.pass(1s);
  const auto times = alone->recurring().next("review", 3);
  ASSERT_EQ(times.size(), 3u);
  alone.pass(times[2].due - alone.now().wall);
  EXPECT_THAT(tasks(alone), ElementsAre("10:10", "10:15", "10:20"));
  for (const auto& time : times) EXPECT_LE(time.due - time.scheduled, 2min);
  EXPECT_THAT(alone->recurring().next("other", 3), IsEmpty());
}

TEST(Recurring, WhatNoSignalCanHoldIsRefusedAtTheStartWithItsPlace) {
  try {
    Alone alone(every_five_minutes("labels = { team = \"" + std::string(300, 'x') + "\" }"), kStart);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("detent.toml:2:1: schedule \"review\": "));
  }
}

}  // namespace detent::test
