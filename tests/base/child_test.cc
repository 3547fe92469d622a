#include "base/child.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "tests/support/eventually.h"

namespace detent {
namespace {

/// Whether this process has ended, or does so soon. What has ended and was not reaped has no command line.
bool gone(pid_t pid) {
  return eventually([&] {
    std::ifstream command("/proc/" + std::to_string(pid) + "/cmdline");
    return command.get() == std::ifstream::traits_type::eof();
  });
}

Result<Child> start(const std::string& script, Millis deadline = Millis{20'000}, Millis grace = Millis{200}) {
  Child::Options options;
  options.command = {"sh", "-c", script};
  options.deadline = deadline;
  options.grace = grace;
  return Child::start(std::move(options), system_now().mono);
}

TEST(Child, GivesItsOutputAndItsExit) {
  auto child = start("echo out; echo err >&2; exit 3");
  ASSERT_TRUE(child);
  const auto exit = child->wait();
  EXPECT_EQ(exit.code, 3);
  EXPECT_EQ(exit.out, "out\n");
  EXPECT_EQ(exit.err, "err\n");
  EXPECT_FALSE(exit.timed_out);
}

TEST(Child, ThatCannotBeStartedIsAnError) {
  Child::Options options;
  options.command = {"no-such-program-anywhere"};
  EXPECT_FALSE(Child::start(options, Millis{0}));
}

TEST(Child, IsTerminatedAtItsDeadlineWithAllItStarted) {
  auto child = start("sleep 1000 & echo $!; wait", Millis{200});
  ASSERT_TRUE(child);
  const auto exit = child->wait();
  EXPECT_TRUE(exit.timed_out);
  EXPECT_TRUE(gone(std::stoi(exit.out)));
}

TEST(Child, ThatIgnoresTermIsKilled) {
  auto child = start("trap '' TERM; echo ready; while :; do sleep 0.05; done", Millis{300}, Millis{100});
  ASSERT_TRUE(child);
  const auto exit = child->wait();
  EXPECT_TRUE(exit.timed_out);
  EXPECT_EQ(exit.code, 128 + SIGKILL);
}

TEST(Child, DiesWithItsOwner) {
  pid_t pid = 0;
  {
    auto child = start("exec sleep 1000");
    ASSERT_TRUE(child);
    pid = child->pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(Child, ThatLeavesSomebodyHoldingItsOutputIsOverAllTheSame) {
  auto child = start("sleep 1000 & echo $!");
  ASSERT_TRUE(child);
  const auto exit = child->wait();
  EXPECT_EQ(exit.code, 0);
  EXPECT_TRUE(gone(std::stoi(exit.out)));
}

TEST(Child, MayWriteMoreThanIsKept) {
  Child::Options options;
  options.command = {"sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"};
  options.output_most = 1'000;
  auto child = Child::start(options, system_now().mono);
  ASSERT_TRUE(child);
  const auto exit = child->wait();
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out.size(), 1'000u);
  EXPECT_EQ(exit.err.size(), 1'000u);
}

TEST(Child, InheritsNoneOfOurDescriptors) {
  auto child = start("ls /proc/self/fd | wc -l");
  ASSERT_TRUE(child);
  EXPECT_EQ(std::stoi(child->wait().out), 4);  // 0, 1, 2 and ls's own
}

}  // namespace
}  // namespace detent
