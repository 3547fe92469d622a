#include "dispatch/liveness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace detent {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Millis kBegan{1'795'342'000'000};

/// What a process keeps, and its clocks.
struct Process {
  Liveness liveness;
  std::map<std::string, LivenessMark> kept;
  Now now{1h, kBegan};
  std::vector<LivenessEvent> events;

  explicit Process(const std::vector<Expectation>& expected = {}) { take(liveness.configure(expected, now)); }
  Process(const std::vector<Expectation>& expected, const Process& former, Millis down) : kept(former.kept) {
    now = {5s, former.now.wall + down};
    for (const auto& [name, mark] : kept) liveness.restore(mark);
    take(liveness.configure(expected, now));
  }
  void take(const Liveness::Turn& turn) {
    for (const LivenessMark& mark : turn.marks) kept[mark.name] = mark;
    for (const std::string& name : turn.removed) kept.erase(name);
    events.insert(events.end(), turn.events.begin(), turn.events.end());
  }
  void heard(std::string_view name, std::optional<Millis> interval = {}) { take(liveness.heard(name, interval, now)); }
  /// Ticks when it is asked to, for so long.
  void wait(Millis span) {
    const Millis end = now.mono + span;
    while (now.mono < end) {
      const Millis step = std::min(std::max(liveness.deadline() - now.mono, 1ms), end - now.mono);
      now.mono += step;
      now.wall += step;
      take(liveness.tick(now));
    }
  }
  /// "silent a", "heard a", "dropped a": what happened since it was asked last.
  std::vector<std::string> told() {
    constexpr const char* names[] = {"silent ", "heard ", "dropped "};
    std::vector<std::string> out;
    for (const LivenessEvent& event : std::exchange(events, {})) out.push_back(names[event.kind] + event.name);
    return out;
  }
};

const std::vector<Expectation> kBackup{{"backup", 10min, 5min}};

}  // namespace

TEST(Liveness, SilenceIsToldOnceAndItsEndOnce) {
  Process p(kBackup);
  p.heard("backup");
  p.wait(15min - 1ms);
  EXPECT_THAT(p.events, IsEmpty());
  p.wait(1ms);
  EXPECT_THAT(p.events, ElementsAre(LivenessEvent{LivenessEvent::kSilent, "backup", 10min, kBegan, kBegan}));
  p.events.clear();
  p.wait(48h);
  EXPECT_THAT(p.events, IsEmpty());
  p.heard("backup");
  EXPECT_THAT(p.events, ElementsAre(LivenessEvent{LivenessEvent::kHeardAgain, "backup", 10min, kBegan, kBegan}));
  p.events.clear();
  p.heard("backup");
  EXPECT_THAT(p.events, IsEmpty());
  p.wait(15min);
  EXPECT_THAT(p.told(), ElementsAre("silent backup"));
}

TEST(Liveness, WhoIsHeardInTimeIsNeverSilent) {
  Process p(kBackup);
  for (int i = 0; i < 1000; ++i) {
    p.wait(14min);
    p.heard("backup");
  }
  EXPECT_THAT(p.events, IsEmpty());
}

TEST(Liveness, OneThatWasNeverHeardIsSilentAfterAnInterval) {
  Process p(kBackup);
  p.wait(15min);
  ASSERT_THAT(p.events, SizeIs(1));
  EXPECT_EQ(p.events[0].last_heard, 0ms);
  EXPECT_EQ(p.events[0].since, kBegan);
}

TEST(Liveness, ASourceDeclaresItsOwnInterval) {
  Process p;
  p.heard("worker-1", 1min);
  p.heard("someone");  // says nothing of an interval: nobody waits for it
  p.wait(90s);
  EXPECT_THAT(p.told(), ElementsAre("silent worker-1"));
  p.heard("worker-1", 10min);
  EXPECT_THAT(p.told(), ElementsAre("heard worker-1"));
  p.wait(14min);
  EXPECT_THAT(p.events, IsEmpty());
  p.heard("worker-1");  // any sign of life counts
  p.wait(14min);
  EXPECT_THAT(p.events, IsEmpty());
}

TEST(Liveness, TheConfigurationGoesBeforeWhatIsDeclared) {
  Process p(kBackup);
  p.heard("backup", 1min);
  p.wait(14min);
  EXPECT_THAT(p.events, IsEmpty());
  p.take(p.liveness.configure({}, p.now));  // what was declared counts again, for a whole interval
  p.wait(89s);
  EXPECT_THAT(p.events, IsEmpty());
  p.wait(1s);
  EXPECT_THAT(p.told(), ElementsAre("silent backup"));
}

TEST(Liveness, WhoIsNoLongerExpectedHasNoAlarm) {
  Process p({{"a", 1min, 0s}, {"b", 1min, 0s}});
  p.heard("w", 1min);
  p.wait(2min);
  EXPECT_THAT(p.told(), ElementsAre("silent a", "silent b", "silent w"));
  p.take(p.liveness.configure({{"a", 1min, 0s}}, p.now));
  EXPECT_THAT(p.told(), ElementsAre("dropped b"));
  p.take(p.liveness.withdraw("w", p.now));
  EXPECT_THAT(p.told(), ElementsAre("dropped w"));
  p.take(p.liveness.withdraw("a", p.now));  // is expected by the configuration
  p.take(p.liveness.withdraw("nobody", p.now));
  EXPECT_THAT(p.told(), IsEmpty());
  EXPECT_THAT(p.kept, SizeIs(1));
}

TEST(Liveness, OneThatWithdrawsIsNotWaitedFor) {
  Process p;
  p.heard("worker-1", 1min);
  p.take(p.liveness.withdraw("worker-1", p.now));
  p.wait(1h);
  EXPECT_THAT(p.events, IsEmpty());
  EXPECT_THAT(p.kept, IsEmpty());
}

TEST(Liveness, ARestartBlamesNobodyForTheTimeItWasDown) {
  Process p(kBackup);
  p.heard("backup");
  p.heard("worker-1", 10min);
  Process next(kBackup, p, 5h);
  next.wait(15min - 1ms);
  EXPECT_THAT(next.events, IsEmpty());
  next.wait(1ms);
  EXPECT_THAT(next.told(), ElementsAre("silent backup", "silent worker-1"));
}

TEST(Liveness, AStandingAlarmOutlivesARestartAndIsNotToldAgain) {
  Process p(kBackup);
  p.wait(15min);
  EXPECT_THAT(p.told(), ElementsAre("silent backup"));
  Process next(kBackup, p, 1h);
  next.wait(24h);
  EXPECT_THAT(next.told(), IsEmpty());
  next.heard("backup");
  ASSERT_THAT(next.events, SizeIs(1));
  EXPECT_EQ(next.events[0].since, kBegan);
  Process last({}, p, 1h);  // what was taken out of the configuration meanwhile
  EXPECT_THAT(last.told(), ElementsAre("dropped backup"));
}

TEST(Liveness, AProcessThatStoodStillBlamesNobody) {
  Process p(kBackup);
  p.heard("backup");
  p.now.mono += 3h;  // stopped, and gone on
  p.now.wall += 3h;
  p.take(p.liveness.tick(p.now));
  EXPECT_THAT(p.told(), IsEmpty());
  p.wait(15min);
  EXPECT_THAT(p.told(), ElementsAre("silent backup"));
}

TEST(Liveness, NobodyFallsSilentWhileNobodyCanBeHeard) {
  Process p(kBackup);
  p.heard("backup");
  p.liveness.set_hearing(false, p.now);
  p.wait(5h);
  EXPECT_THAT(p.told(), IsEmpty());
  p.liveness.set_hearing(true, p.now);
  p.wait(15min - 1ms);
  EXPECT_THAT(p.told(), IsEmpty());
  p.wait(1ms);
  EXPECT_THAT(p.told(), ElementsAre("silent backup"));
}

TEST(Liveness, AWallClockThatJumpsChangesNothing) {
  Process p(kBackup);
  p.heard("backup");
  p.now.wall += 24h * 365;
  p.wait(14min);
  p.now.wall -= 24h * 365 * 60;
  EXPECT_THAT(p.told(), IsEmpty());
  p.wait(1min);
  EXPECT_THAT(p.told(), ElementsAre("silent backup"));
  p.heard("backup");
  EXPECT_THAT(p.told(), ElementsAre("heard backup"));
}

TEST(Liveness, TooManyThatDeclareAreRefused) {
  Process p(kBackup);
  for (size_t i = 0; i < Liveness::kMaxDeclared; ++i)
    EXPECT_FALSE(p.liveness.heard("w" + std::to_string(i), 1min, p.now).refused);
  EXPECT_TRUE(p.liveness.heard("one more", 1min, p.now).refused);
  EXPECT_FALSE(p.liveness.heard("w7", 2min, p.now).refused);
  EXPECT_TRUE(p.liveness.heard("backup", 2min, p.now).refused);
  EXPECT_THAT(p.liveness.marks(), SizeIs(Liveness::kMaxDeclared + 1));
  p.take(p.liveness.withdraw("w7", p.now));
  EXPECT_FALSE(p.liveness.heard("one more", 1min, p.now).refused);
}

TEST(Liveness, AnIntervalStaysWithinReason) {
  Process p;
  p.heard("a", -5s);
  p.heard("b", Millis::max());
  EXPECT_EQ(p.liveness.list()[0].every, Liveness::kShortest);
  EXPECT_EQ(p.liveness.list()[1].every, Liveness::kLongest);
}

// At random, with restarts: for each name the events alternate, and an alarm stands exactly while its name is silent.
TEST(LivenessProperty, AnAlarmStandsExactlyWhileItsNameIsSilent) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    std::mt19937 dice(seed);
    const auto roll = [&](int low, int high) { return std::uniform_int_distribution(low, high)(dice); };
    const std::vector<Expectation> expected{{"a", 1min, 10s}, {"b", 3min, 1min}};
    auto p = std::make_unique<Process>(expected);
    std::set<std::string> standing, restarted;
    std::map<std::string, Millis> waited_from{{"a", p->now.mono}, {"b", p->now.mono}};
    for (int i = 0; i < 300; ++i) {
      const int what = roll(0, 99);
      if (what < 50) {
        p->wait(std::chrono::seconds{roll(0, 60)});
      } else if (what < 97) {
        const std::string name = roll(0, 1) ? "a" : "b";
        p->heard(name);
        waited_from[name] = p->now.mono;
        restarted.erase(name);
      } else {
        p = std::make_unique<Process>(expected, *p, std::chrono::seconds{roll(0, 9000)});
        for (auto& [name, from] : waited_from) from = p->now.mono;
        restarted = standing;
      }
      for (const std::string& told : p->told()) {
        const std::string name = told.substr(told.find(' ') + 1);
        ASSERT_TRUE(told.starts_with("silent") ? standing.insert(name).second : standing.erase(name) == 1) << seed;
      }
      for (const Expectation& one : expected) {
        // After a restart an alarm may stand before its time has come again.
        const bool overdue = p->now.mono - waited_from[one.name] >= one.every + one.grace;
        const bool stands = standing.contains(one.name);
        ASSERT_TRUE(overdue ? stands : !stands || restarted.contains(one.name)) << one.name << ", seed " << seed;
        const auto mark = p->kept.at(one.name);
        ASSERT_EQ(stands, mark.silent_since > Millis{0});
      }
    }
  }
}

}  // namespace detent
