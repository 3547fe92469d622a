// The worker is killed with -9: nothing of its attempts goes on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tests/support/eventually.h"
#include "tests/worker/attempt_fixture.h"

namespace detent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Daemons of both kinds, and a command that ignores TERM.
constexpr const char* kStubborn =
    "setsid sh -c '(trap \"\" TERM HUP; exec sleep 1020) >/dev/null 2>&1 &' </dev/null & "
    "setsid sh -c 'sleep 1021 & exec sleep 1022' </dev/null >/dev/null 2>&1 & "
    "trap '' TERM; echo ready; while :; do sleep 1; done";

class WorkerKilled : public AttemptFixture {
 protected:
  ~WorkerKilled() override {
    if (worker_ > 0) end_worker();
  }

  /// A process with an isolation of its own that runs such an attempt, and polls it until it is killed.
  void start_worker() {
    isolation_.reset();
    int ready[2];
    ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
    worker_ = fork();
    ASSERT_GE(worker_, 0);
    if (worker_ == 0) run_worker(ready[1]);
    close(ready[1]);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1) << "the worker ended before its attempt was there";
    close(ready[0]);
    isolation_mark();
  }
  void end_worker() {
    kill(worker_, SIGKILL);
    waitpid(worker_, nullptr, 0);
    worker_ = -1;
  }
  /// Of the attempt, without an isolation of ours.
  std::vector<Process> of_the_attempt() const {
    std::vector<Process> out;
    for (const Process& each : all_processes()) {
      const auto mark = each.alive() ? environment_value(each.pid, "DETENT_ATTEMPT") : std::nullopt;
      if (mark && *mark == mark_) out.push_back(each);
    }
    return out;
  }
  pid_t guard() const {
    for (const Process& each : of_the_attempt()) {
      if (each.parent == worker_) return each.pid;
    }
    return 0;
  }

  pid_t worker_ = -1;

 private:
  [[noreturn]] void run_worker(int ready) {
    auto isolation = Isolation::probe(config_);
    if (!isolation) _exit(1);
    bool said = false;
    const auto line = [&](Child::Stream, std::string_view text) { said |= text == "ready"; };
    auto attempt = Attempt::start(*isolation, shell(kStubborn), {.task = "task", .epoch = 1}, line, system_now().mono);
    if (!attempt) _exit(1);
    while (!said) {
      if (attempt->poll(system_now().mono)) _exit(1);
    }
    [[maybe_unused]] const ssize_t written = write(ready, "x", 1);
    for (;;) pause();  // a worker that is busy with something else
  }
  void isolation_mark() {
    for (const Process& each : all_processes()) {
      if (each.parent == worker_) mark_ = environment_value(each.pid, "DETENT_ATTEMPT").value_or("");
    }
    EXPECT_FALSE(mark_.empty());
  }

  std::string mark_;
};

TEST_P(WorkerKilled, LeavesNothingBehind) {
  start_worker();
  EXPECT_GE(of_the_attempt().size(), 4u);
  end_worker();
  EXPECT_TRUE(eventually([&] { return of_the_attempt().empty(); }));
  isolation_ = Isolation::probe(config_).value();
  const auto said = end_leftovers(*isolation_);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0], "attempt task.1 of an earlier run: nothing of it ran any more");
  expect_nothing_left();
}

TEST_P(WorkerKilled, WithTheGuardsLeavesWhatTheNextStartEndsAndReports) {
  start_worker();
  const pid_t guard_of_it = guard();
  ASSERT_GT(guard_of_it, 0);
  kill(guard_of_it, SIGSTOP);  // it cannot do anything about it
  end_worker();
  kill(guard_of_it, SIGKILL);
  // Under bwrap all end with it; else the daemons go on.
  if (GetParam() != "bwrap") {
    EXPECT_FALSE(of_the_attempt().empty());
  }
  isolation_ = Isolation::probe(config_).value();
  const auto said = end_leftovers(*isolation_);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_THAT(said[0], HasSubstr("attempt task.1 of an earlier run: "));
  if (GetParam() != "bwrap") {
    EXPECT_THAT(said[0], HasSubstr(" processes ended"));
  }
  EXPECT_TRUE(eventually([&] { return of_the_attempt().empty(); }));
  expect_nothing_left();
  EXPECT_TRUE(end_leftovers(*isolation_).empty());
}

TEST_P(WorkerKilled, LeftoversAreNotConfusedWithAProcessThatWasGivenTheNumber) {
  const pid_t other = fork();
  ASSERT_GE(other, 0);
  if (other == 0) {
    for (;;) pause();
  }
  const auto seen = process(other);
  ASSERT_TRUE(seen);
  ASSERT_TRUE(
      write_record(*isolation_, {.name = "old.1", .boot = boot_id(), .guard = other, .started = seen->started - 1}));
  ASSERT_TRUE(
      write_record(*isolation_, {.name = "old.2", .boot = "another", .guard = other, .started = seen->started}));
  EXPECT_EQ(end_leftovers(*isolation_).size(), 2u);
  EXPECT_TRUE(process(other)->alive());
  ASSERT_TRUE(
      write_record(*isolation_, {.name = "old.3", .boot = boot_id(), .guard = other, .started = seen->started}));
  EXPECT_THAT(end_leftovers(*isolation_).at(0), HasSubstr("attempt old.3 of an earlier run: 1 processes ended"));
  EXPECT_FALSE(process(other)->alive());
  waitpid(other, nullptr, 0);
}

TEST_P(WorkerKilled, AMarkThatIsNoNameOfAnAttemptTouchesNothing) {
  const pid_t other = fork();
  ASSERT_GE(other, 0);
  if (other == 0) {
    const std::string mark = "DETENT_ATTEMPT=" + isolation_->mark() + "/..";
    execle("/bin/sleep", "sleep", "1023", nullptr, std::vector<const char*>{mark.c_str(), nullptr}.data());
    _exit(1);
  }
  ASSERT_TRUE(eventually([&] { return environment_value(other, "DETENT_ATTEMPT").value_or("").ends_with("/.."); }));
  EXPECT_TRUE(end_leftovers(*isolation_).empty());
  EXPECT_TRUE(fs::exists(isolation_->attempts()));
  EXPECT_TRUE(fs::exists(isolation_->node_cache()));
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

INSTANTIATE_TEST_SUITE_P(Isolation, WorkerKilled, testing::Values("none", "cgroup", "bwrap"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace detent
