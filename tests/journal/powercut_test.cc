// A power cut at every operation of a run, and an error at every operation: what was acknowledged is recovered, in
// order, with no hole and nothing invented.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "tests/journal/run.h"

namespace detent::test {
namespace {

class Quiet {
 public:
  Quiet() : level_(spdlog::get_level()) { spdlog::set_level(spdlog::level::off); }
  ~Quiet() { spdlog::set_level(level_); }

 private:
  spdlog::level::level_enum level_;
};

struct Case {
  std::uint64_t seed = 1;
  int steps = 0;
  std::uint64_t at = 0;    // the call that is cut
  Cut cut = Cut::kDrop;    // of every power cut in it
  std::uint64_t coin = 0;  // for Cut::kTear
  bool killed = false;     // the run ends by a kill; a power cut comes after the recovery
  int fault = -1;          // index into kFaults, or none
  std::uint64_t fault_at = 0;

  std::string text() const {
    return fmt::format("{},{},{},{},{},{},{},{}", seed, steps, at, static_cast<int>(cut), coin, int{killed}, fault,
                       fault_at);
  }
};

const std::vector<MemoryDisk::Fault> kFaults = {
    {0, EIO, false, false},    {0, EIO, true, false},    {0, ENOSPC, false, false},
    {0, ENOSPC, true, false},  {0, ENOSPC, false, true}, {0, EIO, true, true},
    {0, EMFILE, false, false}, {0, EMFILE, true, false}, {0, ENOMEM, false, true},
};

std::uint64_t calls_of(std::uint64_t seed, int steps) {
  MemoryDisk disk;
  JournalRun run(disk, seed);
  run.open();
  for (int i = 0; i < steps; ++i) run.step();
  EXPECT_EQ(run.problem(), "") << "seed " << seed << " without any fault";
  return disk.calls();
}

/// What is wrong with the case, or nothing.
std::string play(const Case& c) {
  MemoryDisk disk;
  JournalRun run(disk, c.seed);
  disk.cut_power_at(c.at);
  if (c.fault >= 0) {
    auto fault = kFaults[static_cast<std::size_t>(c.fault)];
    fault.at = c.fault_at;
    disk.fail(fault);
  }
  run.open();
  for (int i = 0; i < c.steps && !disk.is_off(); ++i) run.step();
  if (!run.problem().empty()) return "before the end: " + run.problem();
  disk.heal();

  c.killed ? run.kill() : run.cut(c.cut, c.coin);
  if (!run.open()) return "first recovery: " + (run.problem().empty() ? run.open_error() : run.problem());
  const auto first = run.visited();

  c.killed ? run.cut(c.cut, c.coin) : run.kill();
  if (!run.open()) return "second recovery: " + (run.problem().empty() ? run.open_error() : run.problem());
  if (run.visited() != first) return "the second recovery finds something else than the first";

  for (int i = 0; i < 3 && run.is_open(); ++i) run.append();
  run.cut(c.cut, c.coin + 1);
  if (!run.open()) return "recovery after going on: " + (run.problem().empty() ? run.open_error() : run.problem());
  return "";
}

bool holds(const Case& c) {
  const std::string problem = play(c);
  if (problem.empty()) return true;
  ADD_FAILURE() << problem << "\nreplay: DETENT_CASE=" << c.text()
                << " test_broker --gtest_filter='JournalPowerCut.ReplaysOneCase'";
  return false;
}

TEST(JournalPowerCut, ReplaysOneCase) {
  const char* text = std::getenv("DETENT_CASE");
  if (text == nullptr) GTEST_SKIP() << "set DETENT_CASE to what a failure prints";
  Case c;
  int cut = 0, killed = 0;
  ASSERT_EQ(std::sscanf(text, "%lu,%d,%lu,%d,%lu,%d,%d,%lu", &c.seed, &c.steps, &c.at, &cut, &c.coin, &killed, &c.fault,
                        &c.fault_at),
            8);
  c.killed = killed != 0;
  c.cut = static_cast<Cut>(cut);
  EXPECT_EQ(play(c), "");
}

TEST(JournalPowerCut, LosesNothingAcknowledgedWhereverTheRunIsCut) {
  const Quiet quiet;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const int steps = 30;
    const std::uint64_t calls = calls_of(seed, steps);
    for (std::uint64_t at = 1; at <= calls; ++at) {
      if (!holds({seed, steps, at, Cut::kDrop})) return;
      if (!holds({seed, steps, at, Cut::kKeep})) return;
      for (std::uint64_t coin = 1; coin <= 3; ++coin) {
        if (!holds({seed, steps, at, Cut::kTear, coin * 1000 + at})) return;
      }
    }
  }
}

TEST(JournalPowerCut, LosesNothingServedAfterAKillWhenThePowerGoesNext) {
  const Quiet quiet;
  for (std::uint64_t seed = 100; seed < 106; ++seed) {
    const int steps = 30;
    const std::uint64_t calls = calls_of(seed, steps);
    for (std::uint64_t at = 1; at <= calls; ++at) {
      if (!holds({seed, steps, at, Cut::kDrop, 0, true})) return;
      if (!holds({seed, steps, at, Cut::kTear, at, true})) return;
    }
  }
}

TEST(JournalPowerCut, LosesNothingAcknowledgedInLongRunsWithAFaultAndACutAtRandom) {
  const Quiet quiet;
  for (std::uint64_t seed = 1000; seed < 1100; ++seed) {
    const int steps = 150;
    const std::uint64_t calls = calls_of(seed, steps);
    std::mt19937_64 dice(seed);
    for (int i = 0; i < 6; ++i) {
      const std::uint64_t at = 1 + dice() % calls;
      const int fault = static_cast<int>(dice() % 7) - 1;
      const std::uint64_t fault_at = at - std::min(at, dice() % 30);
      if (!holds({seed, steps, at, Cut::kTear, dice(), i % 3 == 0, fault, fault_at})) return;
    }
  }
}

TEST(JournalPowerCut, LosesNothingAcknowledgedWhicheverCallFails) {
  const Quiet quiet;
  for (std::uint64_t seed = 50; seed < 53; ++seed) {
    const int steps = 24;
    const std::uint64_t calls = calls_of(seed, steps);
    for (std::uint64_t at = 1; at <= calls; ++at) {
      for (int fault = 0; fault < static_cast<int>(kFaults.size()); ++fault) {
        const std::uint64_t never = UINT64_MAX;
        if (!holds({seed, steps, never, Cut::kDrop, at, false, fault, at})) return;
        if (!holds({seed, steps, never, Cut::kTear, at, false, fault, at})) return;
        if (!holds({seed, steps, never, Cut::kTear, at, true, fault, at})) return;
      }
    }
  }
}

}  // namespace
}  // namespace detent::test
