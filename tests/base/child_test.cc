#include "base/child.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

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

TEST(Child, ThatCannotBeStartedIsAnErrorThatSaysWhy) {
  Child::Options options;
  options.command = {"no-such-program-anywhere"};
  const auto child = Child::start(options, Millis{0});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, ENOENT);
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
  options.max_output = 1'000;
  auto child = Child::start(options, system_now().mono);
  ASSERT_TRUE(child);
  const auto exit = child->wait();
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out.size(), 1'000u);
  EXPECT_EQ(exit.err.size(), 1'000u);
}

TEST(Child, KeepsTheLastOfItsOutputAndSaysThatTheRestIsCut) {
  Child::Options options;
  options.command = {"sh", "-c", "seq 100000"};
  options.max_output = 1'000;
  const auto exit = Child::start(options, system_now().mono).value().wait();
  EXPECT_EQ(exit.out.size(), 1'000u);
  EXPECT_TRUE(exit.out.ends_with("99999\n100000\n"));
  EXPECT_TRUE(exit.cut);
}

TEST(Child, KeepsTheFirstOfItsOutputWhereThatIsAskedFor) {
  Child::Options options;
  options.command = {"sh", "-c", "seq 100000"};
  options.max_output = 6;
  options.keeps_first = true;
  const auto exit = Child::start(options, system_now().mono).value().wait();
  EXPECT_EQ(exit.out, "1\n2\n3\n");
  EXPECT_TRUE(exit.cut);
}

TEST(Child, ReadsTheInputItIsGivenHoweverLarge) {
  Child::Options options;
  options.command = {"sh", "-c", "wc -c; head -c 5 /dev/zero >&2"};
  options.input = std::string(5'000'000, 'x');
  const auto exit = Child::start(options, system_now().mono).value().wait();
  EXPECT_EQ(exit.out, "5000000\n");
}

TEST(Child, MayLeaveItsInputUnread) {
  Child::Options options;
  options.command = {"true"};
  options.input = std::string(5'000'000, 'x');
  EXPECT_EQ(Child::start(options, system_now().mono).value().wait().code, 0);
}

TEST(Child, RunsInTheFolderItIsGiven) {
  Child::Options options;
  options.command = {"pwd"};
  options.folder = "/usr";
  EXPECT_EQ(Child::start(options, system_now().mono).value().wait().out, "/usr\n");
}

TEST(Child, BeginsWithNoSignalBlockedOrIgnored) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  struct sigaction ignore {
  }, pipe_before{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &pipe_before);
  auto child = start("grep -E 'SigBlk|SigIgn' /proc/self/status");
  sigaction(SIGPIPE, &pipe_before, nullptr);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(child);
  std::istringstream lines(child->wait().out);
  int seen = 0;
  for (std::string name, mask; lines >> name >> mask; ++seen) {
    // But for two that the C library keeps to itself.
    EXPECT_EQ(std::stoull(mask, nullptr, 16) & ~0x180000000ull, 0u) << name << mask;
  }
  EXPECT_EQ(seen, 2);
}

TEST(Child, LeavesNoZombie) {
  auto child = start("exit 0");
  ASSERT_TRUE(child);
  const pid_t pid = child->pid();
  child->wait();
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Child, IsPolledWithoutBeingWaitedFor) {
  auto child = start("exec sleep 1000");
  ASSERT_TRUE(child);
  EXPECT_FALSE(child->poll(system_now().mono));
}

TEST(Child, ASignalInTheMiddleOfTheWaitDoesNotEndIt) {
  struct sigaction count {
  }, before{};
  static volatile sig_atomic_t seen = 0;
  count.sa_handler = [](int) { seen = 1; };
  sigaction(SIGUSR1, &count, &before);
  auto child = start("kill -USR1 " + std::to_string(getpid()) + "; echo told; exit 5");
  ASSERT_TRUE(child);
  const auto exit = child->wait();
  sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(exit.code, 5);
  EXPECT_EQ(exit.out, "told\n");
  EXPECT_TRUE(seen);
}

TEST(Child, ThatIsNotApartSharesOurGroupAndLeavesBehindWhatItStarted) {
  Child::Options options;
  options.command = {"sh", "-c", "cut -d' ' -f5 /proc/self/stat; sleep 1000 & echo $!"};
  options.apart = false;
  const auto exit = Child::start(options, system_now().mono).value().wait();
  const auto newline = exit.out.find('\n');
  EXPECT_EQ(std::stoi(exit.out.substr(0, newline)), getpgrp());
  EXPECT_EQ(kill(std::stoi(exit.out.substr(newline + 1)), SIGKILL), 0);
}

TEST(Child, InheritsNoneOfOurDescriptors) {
  auto child = start("ls /proc/self/fd | wc -l");
  ASSERT_TRUE(child);
  EXPECT_EQ(std::stoi(child->wait().out), 4);  // 0, 1, 2 and ls's own
}

}  // namespace
}  // namespace detent
