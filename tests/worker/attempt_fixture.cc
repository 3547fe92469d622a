#include "tests/worker/attempt_fixture.h"

#include <poll.h>
#include <stdlib.h>

#include <algorithm>

#include "tests/support/eventually.h"
#include "tests/support/paths.h"
#include "worker/folder.h"

namespace detent {

namespace fs = std::filesystem;

fs::path make_test_folder() {
  // Not in /tmp, of which an attempt under bwrap has one of its own.
  std::string name = fs::weakly_canonical(test::program_folder() / "../worker-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw Failure("no folder for the test");
  return name;
}

AttemptFixture::AttemptFixture() : folder_{make_test_folder()} { config_.folder = folder_ / "worker"; }

AttemptFixture::~AttemptFixture() {
  isolation_.reset();
  static_cast<void>(remove_folder(folder_));
}

void AttemptFixture::SetUp() {
  config_.isolation = GetParam();
  auto probed = Isolation::probe(config_);
  if (!probed && GetParam() == "bwrap") GTEST_SKIP() << "bwrap is not here or cannot be used: " << probed.error().what;
  if (!probed && GetParam() == "cgroup") GTEST_SKIP() << "no cgroup version 2 to write to: " << probed.error().what;
  ASSERT_TRUE(probed) << probed.error().what;
  isolation_ = std::move(*probed);
}

RunnerConfig AttemptFixture::shell(const std::string& script) {
  RunnerConfig runner;
  runner.command = {"sh", "-c", script};
  runner.timeout = std::chrono::seconds{60};
  runner.grace = Millis{300};
  return runner;
}

Result<Attempt> AttemptFixture::start(const RunnerConfig& runner, AttemptOrder order) {
  return Attempt::start(
      *isolation_, runner, std::move(order),
      [this](Child::Stream, std::string_view line) { lines_.emplace_back(line); }, system_now().mono);
}

Outcome AttemptFixture::finish(Attempt& attempt) {
  for (;;) {
    if (auto outcome = attempt.poll(system_now().mono)) return std::move(*outcome);
    std::vector<pollfd> waits;
    for (const int each : attempt.descriptors()) waits.push_back({each, POLLIN, 0});
    const Millis pause = std::clamp(attempt.next() - system_now().mono, Millis{0}, Millis{1'000});
    poll(waits.data(), waits.size(), static_cast<int>(pause.count()));
  }
}

Outcome AttemptFixture::run(const RunnerConfig& runner, AttemptOrder order) {
  auto attempt = start(runner, std::move(order));
  if (!attempt) return {.error = attempt.error().what};
  return finish(*attempt);
}

void AttemptFixture::wait_for_line(Attempt& attempt, const std::string& text) {
  ASSERT_TRUE(eventually([&] {
    EXPECT_FALSE(attempt.poll(system_now().mono)) << "it ended before it said " << text;
    return std::find(lines_.begin(), lines_.end(), text) != lines_.end();
  }));
}

std::vector<Process> AttemptFixture::alive() const {
  std::vector<Process> out;
  const std::string own = isolation_->mark() + "/";
  for (const Process& each : all_processes()) {
    const auto mark = each.alive() ? environment_value(each.pid, "DETENT_ATTEMPT") : std::nullopt;
    if (mark && mark->starts_with(own)) out.push_back(each);
  }
  return out;
}

void AttemptFixture::expect_nothing_left() const {
  EXPECT_EQ(alive().size(), 0u);
  EXPECT_TRUE(fs::is_empty(isolation_->attempts()));
  if (isolation_->cgroups().parent.empty()) return;
  for (const auto& entry : fs::directory_iterator(isolation_->cgroups().parent))
    EXPECT_FALSE(entry.path().filename().string().starts_with(isolation_->mark())) << entry.path();
}

}  // namespace detent
