// Each limit holds, under each kind of isolation, and nothing outlives its attempt.
#include <gmock/gmock.h>
#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdio>
#include <fstream>

#include "base/units.h"
#include "tests/support/eventually.h"
#include "tests/worker/attempt_fixture.h"

namespace detent {
namespace {

using State = Outcome::State;
using testing::HasSubstr;

class Limits : public AttemptFixture {};

TEST_P(Limits, WallTimeEndsAnAttemptWithAllItStarted) {
  auto runner = shell("sleep 1001 & sleep 1002 & wait");
  runner.timeout = Millis{300};
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::timed_out) << outcome.error;
  EXPECT_EQ(outcome.error, "ended: it ran longer than its limit of 300 ms");
  EXPECT_LT(outcome.took, Millis{20'000});
  expect_nothing_left();
}

TEST_P(Limits, TermComesFirstAndIsHeardByTheCommand) {
  auto runner = shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
  runner.grace = std::chrono::seconds{20};
  auto attempt = start(runner);
  ASSERT_TRUE(attempt) << attempt.error().what;
  wait_for_line(*attempt, "ready");
  attempt->cancel(system_now().mono);
  const auto outcome = finish(*attempt);
  EXPECT_EQ(outcome.state, State::cancelled);
  EXPECT_EQ(outcome.exit_code, 7);
  EXPECT_THAT(lines_, testing::Contains("bye"));
  expect_nothing_left();
}

TEST_P(Limits, AProcessThatIgnoresTermIsKilledAfterTheGrace) {
  auto attempt = start(shell("trap '' TERM HUP INT; echo ready; while :; do sleep 0.05; done"));
  ASSERT_TRUE(attempt) << attempt.error().what;
  wait_for_line(*attempt, "ready");
  attempt->cancel(system_now().mono);
  const auto outcome = finish(*attempt);
  EXPECT_EQ(outcome.state, State::cancelled);
  EXPECT_EQ(outcome.exit_code, 128 + SIGKILL);
  expect_nothing_left();
}

TEST_P(Limits, WhatDaemonisesEndsWithItsAttempt) {
  // Twice forked, in a session of its own, its streams elsewhere, deaf to TERM.
  auto runner = shell(
      "setsid sh -c '(trap \"\" TERM HUP; exec sleep 1003) </dev/null >/dev/null 2>&1 &' & wait; "
      "setsid sh -c 'sleep 1004 & exec sleep 1005' </dev/null >/dev/null 2>&1 & echo started");
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::succeeded) << outcome.error;
  EXPECT_EQ(outcome.text, "started\n");
  if (GetParam() != "bwrap") {
    EXPECT_GE(outcome.leftovers, 1u);
  }
  expect_nothing_left();
}

TEST_P(Limits, MemoryOfOneProcess) {
  auto runner = shell("head -c 200000000 /dev/zero | tail | wc -c");
  runner.memory = 64 * kMiB;
  const auto outcome = run(runner);
  // Its allocation fails, or it is ended: never does it get its 200 MB.
  EXPECT_TRUE(outcome.state == State::failed || outcome.text != "200000000\n") << outcome.text;
  EXPECT_LT(outcome.peak_memory, 100 * kMiB);
  expect_nothing_left();
}

TEST_P(Limits, MemoryOfAllProcessesTogether) {
  // Each of four stays below the limit of one.
  auto runner = shell("for i in 1 2 3 4; do (head -c 40000000 /dev/zero; sleep 1006) | tail >/dev/null & done; wait");
  runner.memory = 96 * kMiB;
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_EQ(outcome.error, "ended: it used more memory than its limit of 96 MiB");
  EXPECT_GT(outcome.peak_memory, 32 * kMiB);
  EXPECT_LT(outcome.peak_memory, 250 * kMiB);
  expect_nothing_left();
}

TEST_P(Limits, AForkBombIsEndedOrStarved) {
  // At most 511 processes where nobody stops it.
  auto runner = shell("f() { if [ $1 -gt 0 ]; then f $(($1-1)) & f $(($1-1)) & fi; sleep 1007; }; f 8");
  runner.pids = 40;
  runner.timeout = std::chrono::seconds{30};
  const auto outcome = run(runner);
  EXPECT_NE(outcome.state, State::succeeded);
  if (!isolation_->cgroups().pids) {  // else it is starved
    EXPECT_EQ(outcome.error, "ended: more processes and threads than its limit of 40");
    EXPECT_LT(outcome.took, Millis{20'000});
  }
  expect_nothing_left();
}

TEST_P(Limits, CpuIsHeldToItsShare) {
  auto runner = shell("for i in 1 2 3; do while :; do :; done & done; wait");
  runner.cpu = 1;
  runner.timeout = Millis{2'000};
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::timed_out) << outcome.error;
  EXPECT_GT(outcome.cpu, Millis{100});
  EXPECT_LT(outcome.cpu, outcome.took * 5 / 4);
  expect_nothing_left();
}

TEST_P(Limits, CpuTimeOfOneProcessEndsItWhereNoCgroupDoes) {
  if (isolation_->cgroups().cpu) GTEST_SKIP() << "cpu.max holds it here";
  auto runner = shell("exec perl -e '1 while 1'");
  runner.cpu = 0.1;
  runner.timeout = std::chrono::seconds{10};  // a tenth of that is a second of CPU time
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_THAT(outcome.error, HasSubstr("more CPU time than 0.1 cores give in 10 s"));
  EXPECT_LT(outcome.cpu, Millis{4'000});
  expect_nothing_left();
}

TEST_P(Limits, AFolderThatIsFilledEndsItsAttempt) {
  auto runner =
      shell("i=0; while [ $i -lt 200 ]; do head -c 1000000 /dev/urandom > $TMPDIR/f$i; i=$((i+1)); done; sleep 1008");
  runner.disk = 8 * kMiB;
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_EQ(outcome.error, "ended: it filled its folder beyond the limit of 8 MiB");
  expect_nothing_left();
}

TEST_P(Limits, AWorkspaceMayGrowByItsLimitAndNoMore) {
  const auto workspace = folder() / "workspace";
  std::filesystem::create_directories(workspace);
  {
    std::ofstream large(workspace / "large");
    for (int i = 0; i < 1'000; ++i) large << std::string(20'000, 'x');
  }
  auto runner = shell("cat large > copy && sleep 1 && wc -c < copy");
  runner.disk = 30 * kMiB;
  EXPECT_EQ(run(runner, {.task = "grows", .epoch = 1, .workspace = workspace}).text, "20000000\n");
  runner.command.back() = "sleep 1; for i in 1 2 3; do cat large > copy$i; done; sleep 1009";
  EXPECT_EQ(run(runner, {.task = "grows", .epoch = 2, .workspace = workspace}).error,
            "ended: it filled its folder beyond the limit of 30 MiB");
  expect_nothing_left();
}

TEST_P(Limits, OneFileEndsAtTheFoldersLimit) {
  auto runner = shell("exec head -c 100000000 /dev/zero > $TMPDIR/large");
  runner.disk = 4 * kMiB;
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_THAT(outcome.error, HasSubstr("limit of 4 MiB"));
  expect_nothing_left();
}

uint64_t own_memory() {
  uint64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * 4096;
}

TEST_P(Limits, AGibibyteOfOutputCostsNoMemoryAndIsHashed) {
#ifdef DETENT_SANITIZED
  constexpr uint64_t kBytes = 64 << 20, kMoreMemory = 512 * kMiB;
#else
  constexpr uint64_t kBytes = 1 << 30, kMoreMemory = 16 * kMiB;
#endif
  const std::string much = fmt::format("yes 'a line that is said again and again' | head -c {}; echo the end", kBytes);
  std::array<char, 65> expected{};
  FILE* reference = popen(("(" + much + ") | sha256sum").c_str(), "r");
  ASSERT_TRUE(reference);
  ASSERT_EQ(fread(expected.data(), 1, 64, reference), 64u);
  pclose(reference);
  auto runner = shell(much);
  runner.timeout = std::chrono::minutes{5};
  const uint64_t before = own_memory();
  auto attempt = start(runner);
  ASSERT_TRUE(attempt) << attempt.error().what;
  const auto outcome = finish(*attempt);
  EXPECT_EQ(outcome.state, State::succeeded) << outcome.error;
  EXPECT_EQ(outcome.out.bytes, kBytes + 8);
  EXPECT_EQ(outcome.out.sha256, expected.data());
  EXPECT_EQ(outcome.text.size(), 64u << 10);
  EXPECT_TRUE(outcome.text.ends_with("the end\n"));
  EXPECT_LT(own_memory(), before + kMoreMemory);
  // Lines are passed on at a pace, and it is said that some were not.
  EXPECT_LT(lines_.size(), 200'000u);
  EXPECT_THAT(lines_, testing::Contains(HasSubstr("lines came too fast to be shown")));
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(Isolation, Limits, testing::Values("none", "cgroup", "bwrap"),
                         [](const auto& info) { return info.param; });

/// What no fallback can show: that the kernel itself holds it.
TEST(CgroupLimits, AreSetInALeafOfVersion2) {
  const auto cgroups = Cgroups::probe();
  if (!cgroups.memory || !cgroups.pids || !cgroups.cpu)
    GTEST_SKIP() << "needs cgroup version 2 with memory, pids and cpu: " << cgroups.because;
  const auto leaf = cgroups.make("detent-test-leaf", {.memory = 64 * kMiB, .pids = 7, .cpu = 0.5});
  ASSERT_TRUE(leaf) << leaf.error().what;
  const auto word = [&](const char* file) {
    std::string first;
    std::ifstream(*leaf / file) >> first;
    return first;
  };
  EXPECT_EQ(word("memory.max"), "67108864");
  EXPECT_EQ(word("pids.max"), "7");
  EXPECT_EQ(word("cpu.max"), "50000");
  EXPECT_TRUE(remove_cgroup(*leaf));
}

}  // namespace
}  // namespace detent
