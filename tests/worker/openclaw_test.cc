// success = "openclaw-json": what the envelope of `openclaw agent exec --json` and its exit code mean together.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/worker/attempt_fixture.h"

namespace detent {
namespace {

using State = Outcome::State;
using testing::HasSubstr;

class OpenClaw : public AttemptFixture {
 protected:
  /// An agent that prints this and exits so.
  Outcome answers(const std::string& envelope, int code, const std::string& before = "") {
    std::ofstream(folder() / "answer") << envelope;
    auto runner = shell(before + "echo 'slow SQLite reclamation' >&2; cat " + (folder() / "answer").string() +
                        "; exit " + std::to_string(code));
    runner.success = RunnerConfig::Success::openclaw_json;
    return run(runner, {.task = "task", .epoch = 1, .readable = {folder() / "answer"}});
  }
};

constexpr const char* kGood =
    R"({"ok":true,"status":"ok","final":"hi there","payloads":[{"text":"hi there","mediaUrl":null}],"assistantTurns":1})";

TEST_P(OpenClaw, SucceedsWithExit0AndOkTogether) {
  const auto outcome = answers(kGood, 0);
  EXPECT_EQ(outcome.state, State::succeeded) << outcome.error;
  EXPECT_EQ(outcome.text, "hi there");
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(answers(kGood, 1).state, State::failed);
  EXPECT_EQ(answers(R"({"ok":false,"final":"x"})", 0).state, State::failed);
  EXPECT_EQ(answers(R"({"final":"x"})", 0).error, "the agent exited with 0: its answer does not say ok");
  EXPECT_EQ(answers(R"({"ok":"true","final":"x"})", 0).state, State::failed);
}

TEST_P(OpenClaw, FailedToolsAreCountedThoughItSucceeded) {
  const auto outcome =
      answers(R"({"ok":true,"final":"done","toolSummary":{"calls":3,"tools":["exec"],"failures":2}})", 0);
  EXPECT_EQ(outcome.state, State::succeeded);
  EXPECT_EQ(outcome.tool_failures, 2u);
}

TEST_P(OpenClaw, ItsErrorIsTold) {
  EXPECT_EQ(
      answers(R"({"ok":false,"status":"error","error":{"kind":"exception","message":"model answered 500\nagain"}})", 1)
          .error,
      "the agent exited with 1: exception: model answered 500 again");
}

TEST_P(OpenClaw, ExitCode2IsTimedOutAnd143Cancelled) {
  EXPECT_EQ(answers(R"({"ok":false,"status":"timeout"})", 2).state, State::timed_out);
  EXPECT_EQ(answers("", 143).state, State::cancelled);
}

TEST_P(OpenClaw, AnEmptyAnswerIsAFailureWithWhatStderrSays) {
  const auto outcome = answers("", 0);
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_EQ(outcome.error, "the agent gave no answer and exited with 0: slow SQLite reclamation");
}

TEST_P(OpenClaw, AnswersThatAreNoJsonObjectFail) {
  EXPECT_THAT(answers("hello", 0).error, HasSubstr("no JSON object: hello"));
  EXPECT_THAT(answers("[1,2]", 0).error, HasSubstr("no JSON object"));
  EXPECT_THAT(answers(std::string(kGood) + "}", 0).error, HasSubstr("no JSON object"));
  EXPECT_EQ(answers(std::string(5 << 20, ' ') + kGood, 0).error, "the agent's answer is longer than 4 MiB");
}

TEST_P(OpenClaw, HasAStateOfItsOwnAndASharedCompileCache) {
  auto runner = shell(
      "printf '{\"ok\":true,\"final\":\"%s\"}' \"$OPENCLAW_NO_RESPAWN $OPENCLAW_STATE_DIR $TMPDIR "
      "$NODE_COMPILE_CACHE\";"
      "touch $OPENCLAW_STATE_DIR/x $TMPDIR/x $NODE_COMPILE_CACHE/x");
  runner.success = RunnerConfig::Success::openclaw_json;
  const auto outcome = run(runner);
  const std::string own = (isolation_->attempts() / "task.1").string();
  EXPECT_EQ(outcome.text, "1 " + own + "/state " + own + "/tmp " + isolation_->node_cache().string());
  EXPECT_TRUE(std::filesystem::exists(isolation_->node_cache() / "x"));
  expect_nothing_left();
}

TEST_P(OpenClaw, IsToldItsLimitAndGivenAMinuteMore) {
  RunnerConfig runner;
  runner.command = {"printf", "{\"ok\":true,\"final\":\"%s\"}", "{timeout}"};
  runner.success = RunnerConfig::Success::openclaw_json;
  const Millis began = system_now().mono;
  auto attempt = start(runner, {.task = "task", .epoch = 1, .timeout = std::chrono::seconds{90}});
  ASSERT_TRUE(attempt) << attempt.error().what;
  EXPECT_GE(attempt->next() - began, Millis{150'000});
  EXPECT_EQ(finish(*attempt).text, "90");
}

INSTANTIATE_TEST_SUITE_P(Isolation, OpenClaw, testing::Values("none", "bwrap"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace detent
