#include "dispatch/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <set>

namespace detent {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Millis utc_time(const char* text) {
  std::tm parts{};
  EXPECT_NE(strptime(text, "%Y-%m-%d %H:%M:%S", &parts), nullptr) << text;
  return std::chrono::seconds{timegm(&parts)};
}

Schedule schedule(std::string name, const char* cron, MissedPolicy missed = {}) {
  return {std::move(name), *Cron::parse(cron), {}, 0ms, missed};
}
const MissedPolicy kOnce{MissedPolicy::kOnce, {}};
MissedPolicy within(Millis window) { return {MissedPolicy::kWithin, window}; }

/// The schedules of a process, and what it keeps. Its clocks go as they are told to.
struct Process {
  Schedules schedules;
  std::map<std::string, ScheduleMark> kept;  // durable
  Now now{1000s, utc_time("2026-11-22 10:00:30")};
  Millis look_again{0};
  std::vector<Missed> missed;

  explicit Process(std::vector<Schedule> all) { schedules.configure(std::move(all)); }
  Process(std::vector<Schedule> all, const Process& former) : kept(former.kept), now(former.now) {
    now.mono = 5s;
    for (const auto& [name, mark] : kept) schedules.restore(mark);
    schedules.configure(std::move(all));
  }

  std::vector<std::string> poll() {
    const Schedules::Turn turn = schedules.poll(now);
    for (const ScheduleMark& mark : turn.marks) kept[mark.name] = mark;
    for (const std::string& name : turn.removed) kept.erase(name);
    missed.insert(missed.end(), turn.missed.begin(), turn.missed.end());
    look_again = turn.look_again;
    std::vector<std::string> fired;
    for (const Firing& firing : turn.firings) {
      EXPECT_EQ(firing.id, firing_id(firing.schedule, firing.scheduled));
      fired.push_back(firing.schedule + " " + TimeZone().show(firing.scheduled).substr(0, 16));
    }
    return fired;
  }
  /// Lets time go by until then, as a process would that looks when it is told to.
  std::vector<std::string> until(const char* time) {
    std::vector<std::string> fired = poll();
    while (now.wall < utc_time(time)) {
      const Millis step = std::min(std::max(look_again - now.mono, 1ms), utc_time(time) - now.wall);
      now.mono += step;
      now.wall += step;
      for (std::string& one : poll()) fired.push_back(std::move(one));
    }
    return fired;
  }
  /// The clock is set, the machine slept, or the process was down.
  std::vector<std::string> at(const char* time) {
    now.wall = utc_time(time);
    now.mono += 1s;
    return poll();
  }
};

}  // namespace

TEST(Schedules, ANewOneStartsFromNow) {
  Process run({schedule("a", "0 * * * *")});
  EXPECT_THAT(run.until("2026-11-22 12:00:00"), ElementsAre("a 2026-11-22 11:00", "a 2026-11-22 12:00"));
  EXPECT_THAT(run.missed, IsEmpty());
  // One that is due at the very moment at which it is new waits for the next time.
  Process exact({schedule("a", "0 * * * *")});
  EXPECT_THAT(exact.at("2026-11-22 11:00:00"), IsEmpty());
}

TEST(Schedules, FireOnceEachTimeHoweverOftenTheyAreAsked) {
  Process run({schedule("a", "*/10 * * * *"), schedule("b", "10 * * * *")});
  EXPECT_THAT(run.poll(), IsEmpty());
  for (int i = 0; i < 3; ++i) run.poll();
  EXPECT_THAT(run.at("2026-11-22 10:10:00"), ElementsAre("a 2026-11-22 10:10", "b 2026-11-22 10:10"));
  EXPECT_THAT(run.at("2026-11-22 10:10:00"), IsEmpty());
  EXPECT_THAT(run.at("2026-11-22 10:19:59"), IsEmpty());
}

TEST(Schedules, SayWhenToLookAgainOnTheMonotonicClock) {
  Process run({schedule("a", "0 * * * *")});
  run.poll();
  EXPECT_EQ(run.look_again, run.now.mono + Schedules::kLook);  // the wall clock may jump meanwhile
  run.at("2026-11-22 10:59:48");
  EXPECT_EQ(run.look_again, run.now.mono + 12s);
  Process none({});
  none.poll();
  EXPECT_EQ(none.look_again, none.now.mono + Schedules::kLook);
}

TEST(Schedules, ARestartGoesOnWhereItWas) {
  Process run({schedule("a", "0 * * * *")});
  run.until("2026-11-22 11:30:00");
  Process next({schedule("a", "0 * * * *")}, run);
  EXPECT_THAT(next.until("2026-11-22 12:30:00"), ElementsAre("a 2026-11-22 12:00"));
  EXPECT_THAT(next.schedules.marks(), SizeIs(1));
}

TEST(Schedules, AFewSecondsOfARestartMissNothing) {
  Process run({schedule("a", "0 11 * * *")});
  run.until("2026-11-22 10:59:50");
  Process next({schedule("a", "0 11 * * *")}, run);
  EXPECT_THAT(next.at("2026-11-22 11:00:20"), ElementsAre("a 2026-11-22 11:00"));
  EXPECT_THAT(next.missed, IsEmpty());
}

TEST(Schedules, OneWhoseExpressionOrZoneWasEditedStartsFromNow) {
  Process run({schedule("a", "0 * * * *", kOnce), schedule("b", "0 * * * *", kOnce)});
  run.until("2026-11-22 11:30:00");
  Schedule zoned = schedule("b", "0 * * * *", kOnce);
  zoned.zone = *TimeZone::find("Asia/Tokyo");
  Process next({schedule("a", "30 * * * *", kOnce), zoned}, run);
  EXPECT_THAT(next.at("2026-11-22 14:31:00"), IsEmpty());  // it was down for three hours
  EXPECT_THAT(next.missed, IsEmpty());
  EXPECT_THAT(next.until("2026-11-22 15:00:00"), ElementsAre("b 2026-11-22 15:00"));
}

TEST(Schedules, AnEditThatNoTurnHasSeenIsStillAnEditAfterARestart) {
  Process run({schedule("a", "0 * * * *", kOnce)});
  run.until("2026-11-22 11:30:00");
  run.schedules.configure({schedule("a", "30 * * * *", kOnce)});
  for (const ScheduleMark& mark : run.schedules.marks()) run.kept[mark.name] = mark;  // a snapshot
  Process next({schedule("a", "30 * * * *", kOnce)}, run);
  EXPECT_THAT(next.at("2026-11-22 14:31:00"), IsEmpty());
}

TEST(Schedules, AnEditOfAnythingElseKeepsItsPlace) {
  Process run({schedule("a", "0 * * * *")});
  run.until("2026-11-22 11:30:00");
  run.schedules.configure({schedule("a", "0 * * * *", kOnce)});
  EXPECT_THAT(run.at("2026-11-22 13:30:00"), ElementsAre("a 2026-11-22 13:00"));
}

TEST(Schedules, OneThatWasTakenOutStartsAnewWhenItComesBack) {
  Process run({schedule("a", "0 * * * *", kOnce)});
  run.until("2026-11-22 11:30:00");
  run.schedules.configure({});
  run.poll();
  EXPECT_THAT(run.kept, IsEmpty());
  run.schedules.configure({schedule("a", "0 * * * *", kOnce)});
  EXPECT_THAT(run.at("2026-11-22 15:30:00"), IsEmpty());
}

TEST(SchedulesMissed, SkipLeavesThemOutAndCountsThem) {
  Process run({schedule("a", "0 * * * *")});
  run.until("2026-11-22 11:30:00");
  Process next({schedule("a", "0 * * * *")}, run);
  EXPECT_THAT(next.at("2026-11-22 15:30:00"), IsEmpty());
  ASSERT_THAT(next.missed, SizeIs(1));
  EXPECT_EQ(next.missed[0].run, (MissedRun{4, utc_time("2026-11-22 12:00:00"), utc_time("2026-11-22 15:00:00")}));
  EXPECT_FALSE(next.missed[0].made_up);
  EXPECT_EQ(next.schedules.list()[0].mark.missed.count, 4u);
  EXPECT_EQ(next.schedules.list()[0].mark.fired, utc_time("2026-11-22 11:00:00"));
  EXPECT_EQ(next.schedules.list()[0].next, utc_time("2026-11-22 16:00:00"));
  EXPECT_THAT(next.until("2026-11-22 16:00:00"), ElementsAre("a 2026-11-22 16:00"));
  EXPECT_THAT(next.missed, SizeIs(1));                        // told once
  EXPECT_EQ(next.schedules.list()[0].mark.missed.count, 4u);  // and still to be seen
}

TEST(SchedulesMissed, ARunOfThemGoesOnUntilOneFires) {
  Process run({schedule("a", "0 * * * *")});
  run.until("2026-11-22 11:30:00");
  run.at("2026-11-22 13:30:00");
  run.at("2026-11-22 15:30:00");
  EXPECT_EQ(run.schedules.list()[0].mark.missed,
            (MissedRun{4, utc_time("2026-11-22 12:00:00"), utc_time("2026-11-22 15:00:00")}));
  run.until("2026-11-22 16:30:00");
  run.at("2026-11-22 18:30:00");
  EXPECT_EQ(run.schedules.list()[0].mark.missed,
            (MissedRun{2, utc_time("2026-11-22 17:00:00"), utc_time("2026-11-22 18:00:00")}));
}

TEST(SchedulesMissed, OnceMakesUpForTheLatestAlone) {
  Process run({schedule("a", "0 * * * *", kOnce)});
  run.until("2026-11-22 11:30:00");
  EXPECT_THAT(run.at("2026-11-22 15:30:00"), ElementsAre("a 2026-11-22 15:00"));
  ASSERT_THAT(run.missed, SizeIs(1));
  EXPECT_EQ(run.missed[0].run, (MissedRun{3, utc_time("2026-11-22 12:00:00"), utc_time("2026-11-22 14:00:00")}));
  EXPECT_TRUE(run.missed[0].made_up);
  EXPECT_THAT(run.until("2026-11-22 16:00:00"), ElementsAre("a 2026-11-22 16:00"));
}

TEST(SchedulesMissed, AWindowMakesUpForWhatIsNoOlder) {
  for (const auto& [time, fires] : {std::pair("2026-11-23 04:00:00", true), std::pair("2026-11-23 04:00:01", false)}) {
    Process run({schedule("a", "0 2 * * *", within(2h))});
    run.until("2026-11-22 11:30:00");
    EXPECT_THAT(run.at(time), SizeIs(fires ? 1 : 0)) << time;
    EXPECT_THAT(run.missed, SizeIs(fires ? 0 : 1)) << time;
  }
}

TEST(SchedulesMissed, OneThatIsOnTimeFiresAndTheOnesBeforeItAreMissed) {
  for (const MissedPolicy& policy : {MissedPolicy{}, kOnce}) {
    Process run({schedule("a", "0 * * * *", policy)});
    run.until("2026-11-22 11:30:00");
    EXPECT_THAT(run.at("2026-11-22 15:00:10"), ElementsAre("a 2026-11-22 15:00"));
    ASSERT_THAT(run.missed, SizeIs(1));
    EXPECT_EQ(run.missed[0].run.count, 3u);
  }
}

TEST(SchedulesMissed, AYearOfMinutesIsDealtWithInBitesAndToldOnce) {
  Process run({schedule("a", "* * * * *", kOnce), schedule("b", "0 * * * *")});
  run.until("2026-11-22 11:00:30");
  std::vector<std::string> fired = run.at("2027-11-22 11:00:40");
  EXPECT_EQ(run.look_again, run.now.mono);
  while (run.look_again == run.now.mono) {
    for (std::string& one : run.poll()) fired.push_back(std::move(one));
  }
  EXPECT_THAT(fired, testing::UnorderedElementsAre("a 2027-11-22 11:00", "b 2027-11-22 11:00"));
  ASSERT_THAT(run.missed, SizeIs(2));
  uint64_t most = 0;
  for (const Missed& missed : run.missed) most = std::max(most, missed.run.count);
  EXPECT_EQ(most, 365u * 24 * 60 - 1);
}

TEST(SchedulesMissed, AClockFarInTheFutureEndsSomeTime) {
  Process run({schedule("a", "* * * * *")});
  run.until("2026-11-22 11:00:30");
  run.at("2199-11-22 11:00:40");
  int turns = 0;
  while (run.look_again == run.now.mono && ++turns < 1000) run.poll();
  EXPECT_LT(turns, 1000);
}

TEST(SchedulesClock, PutBackALittleFiresNothingTwice) {
  Process run({schedule("a", "*/10 * * * *", kOnce)});
  EXPECT_THAT(run.until("2026-11-22 11:05:00"), SizeIs(6));
  run.at("2026-11-22 10:25:00");
  EXPECT_THAT(run.until("2026-11-22 11:15:00"), ElementsAre("a 2026-11-22 11:10"));
  EXPECT_THAT(run.missed, IsEmpty());
}

TEST(SchedulesClock, ThatHadBeenFarAheadIsNotWaitedForForYears) {
  Process run({schedule("a", "0 0 * * *", kOnce)});
  run.poll();
  EXPECT_THAT(run.at("2028-03-01 00:00:10"), ElementsAre("a 2028-03-01 00:00"));
  run.at("2026-11-22 10:00:40");
  EXPECT_THAT(run.until("2026-11-24 00:00:00"), ElementsAre("a 2026-11-23 00:00", "a 2026-11-24 00:00"));
}

TEST(SchedulesClock, PutBackFarWhatFiredLastDoesNotFireAgain) {
  Process run({schedule("yearly", "0 0 28 11 *", kOnce)});
  run.poll();
  EXPECT_THAT(run.at("2026-11-28 00:00:10"), ElementsAre("yearly 2026-11-28 00:00"));
  run.at("2026-11-25 00:00:00");
  Process next({schedule("yearly", "0 0 28 11 *", kOnce)}, run);
  EXPECT_THAT(next.until("2026-11-29 00:00:00"), IsEmpty());
  EXPECT_THAT(next.missed, IsEmpty());
}

TEST(SchedulesClock, PutForwardGoesByThePolicy) {
  Process run({schedule("once", "0 * * * *", kOnce), schedule("skip", "0 * * * *")});
  run.until("2026-11-22 11:30:00");
  EXPECT_THAT(run.at("2026-11-22 14:30:00"), ElementsAre("once 2026-11-22 14:00"));
  EXPECT_THAT(run.missed, SizeIs(2));
}

TEST(SchedulesCrash, BetweenFiringAndRecordingRepeatsTheSameId) {
  Process run({schedule("a", "0 11 * * *")});
  run.until("2026-11-22 10:59:00");
  run.now.wall = utc_time("2026-11-22 11:00:00");
  const Schedules::Turn lost = run.schedules.poll(run.now);  // its marks are not kept
  ASSERT_THAT(lost.firings, SizeIs(1));
  Process next({schedule("a", "0 11 * * *")}, run);
  next.now.wall = utc_time("2026-11-22 11:00:30");
  const Schedules::Turn again = next.schedules.poll(next.now);
  ASSERT_THAT(again.firings, SizeIs(1));
  EXPECT_EQ(again.firings[0].id, lost.firings[0].id);
  EXPECT_EQ(again.firings[0].late, 30s);
}

TEST(SchedulesCrash, AFiringsIdIsThatOfItsNameAndTimeAlone) {
  const Millis time = utc_time("2026-11-22 11:00:00");
  EXPECT_EQ(firing_id("a", time), firing_id("a", time));
  EXPECT_EQ(firing_id("a", time).text(), "01M81EKCW0Q30FC5A8C3K2B93Z");  // for ever: else an upgrade would repeat tasks
  EXPECT_EQ(firing_id("a", time).time(), time);
  EXPECT_NE(firing_id("a", time), firing_id("b", time));
  EXPECT_NE(firing_id("a", time), firing_id("a", time + 60s));
}

TEST(SchedulesJitter, IsTheSameForOneTimeAndDiffersBetweenThem) {
  Schedule a = schedule("a", "0 * * * *"), b = schedule("b", "0 * * * *");
  a.jitter = b.jitter = 30min;
  std::set<Millis> seen;
  Millis time = utc_time("2026-11-22 11:00:00");
  int alike = 0;
  for (int i = 0; i < 200; ++i, time += 1h) {
    const Millis jitter = jitter_of(a, time);
    EXPECT_EQ(jitter, jitter_of(a, time));
    EXPECT_GE(jitter, 0s);
    EXPECT_LE(jitter, 30min);
    alike += jitter == jitter_of(b, time);
    seen.insert(jitter);
  }
  EXPECT_GT(seen.size(), 150u);
  EXPECT_LT(alike, 10);
}

TEST(SchedulesJitter, DelaysWhatFiresAndNeverMeetsTheNextTime) {
  Schedule a = schedule("a", "*/2 * * * *");
  a.jitter = 1h;
  Process run({a});
  run.poll();
  for (int i = 0; i < 100; ++i) {
    const auto view = run.schedules.list()[0];
    EXPECT_EQ(view.due, view.next + jitter_of(a, view.next));
    EXPECT_LT(view.due, view.next + 2min);
    const Millis scheduled = view.next;
    run.now.wall = view.due - 1ms;
    EXPECT_THAT(run.poll(), IsEmpty());
    run.now.wall += 1ms;
    EXPECT_THAT(run.poll(), SizeIs(1));
    EXPECT_EQ(run.schedules.list()[0].mark.fired, scheduled);
  }
}

// Clocks that jump, restarts and crashes at random: no scheduled time makes two tasks, and each that was passed over is
// either fired or missed.
TEST(SchedulesProperty, NoTimeMakesTwoTasksWhateverTheClockDoes) {
  size_t all_fired = 0, all_missed = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 dice(seed);
    const auto roll = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(dice);
    };
    const MissedPolicy policies[] = {{}, kOnce, within(2h)};
    Schedule one = schedule("a", roll(0, 1) ? "*/15 * * * *" : "7 */3 * * *", policies[roll(0, 2)]);
    if (roll(0, 1)) one.jitter = std::chrono::seconds{roll(1, 600)};
    auto run = std::make_unique<Process>(std::vector{one});
    run->poll();
    const Millis began = run->now.wall;
    Millis furthest = began;
    std::map<std::string, int> fired;
    uint64_t missed = 0;
    bool last_kept = true;
    for (int i = 0; i < 300; ++i) {
      const int64_t what = roll(0, 99);
      const Millis step{what < 80 ? roll(0, 120'000) : what < 90 ? roll(0, 20'000'000) : -roll(0, 20'000'000)};
      run->now.wall += step;
      if (run->now.wall < furthest - 20h) run->now.wall = furthest - 20h;
      run->now.mono += std::max(step, 0ms);
      if (what % 10 == 3) {  // a crash before the marks are kept, at times
        last_kept = roll(0, 1);
        const auto kept = run->kept;
        const std::vector<std::string> maybe = run->poll();
        if (!last_kept) {
          run->kept = kept;
        } else {
          for (const std::string& f : maybe) ++fired[f];
          for (const Missed& m : run->missed) missed += m.run.count;
        }
        run = std::make_unique<Process>(std::vector{one}, Process(*run));
      }
      for (const std::string& f : run->poll()) ++fired[f];
      for (const Missed& m : std::exchange(run->missed, {})) missed += m.run.count;
      furthest = std::max(furthest, run->now.wall);
    }
    uint64_t passed = 0;
    for (Millis at = began; (at = one.cron.next(at, {})) <= run->kept.at("a").passed;) ++passed;
    for (const auto& [key, times] : fired) EXPECT_EQ(times, 1) << key << ", seed " << seed;
    EXPECT_EQ(fired.size() + missed, passed) << "seed " << seed;
    all_fired += fired.size(), all_missed += missed;
  }
  EXPECT_GT(all_fired, 1000u);
  EXPECT_GT(all_missed, 1000u);
}

}  // namespace detent
