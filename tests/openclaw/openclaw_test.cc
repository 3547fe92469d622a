// The real OpenClaw publishes: through `detent mcp`, through its cron's webhook, and through the plugin. One broker and
// one gateway serve all of these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/openclaw/claw.h"
#include "tests/support/eventually.h"

namespace detent::house {

namespace {

using testing::HasSubstr;
using testing::Not;

class OpenClaw : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!Claw::missing().empty()) return;
    house_ = new House;
    Claw::want_token(*house_);
    house_->start_broker();
    claw_ = new Claw(*house_);
    claw_->start_gateway();
  }
  static void TearDownTestSuite() {
    delete claw_;
    delete house_;
  }
  void SetUp() override {
    if (!Claw::missing().empty()) GTEST_SKIP() << Claw::missing();
  }

  House& house() { return *house_; }
  Claw& claw() { return *claw_; }
  static std::string text(const json::object& object, const char* member) {
    const auto* value = object.if_contains(member);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
  }
  /// A turn of the gateway's agent in a session of its own.
  Ended turn(const std::string& session, const json::object& order, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"agent",     "--agent",         "main", "--session-id", session,
                                       "--message", Claw::order(order)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return claw().run(arguments);
  }
  /// The id of a new cron job that posts to the broker.
  std::string add_job(const std::string& name, const std::vector<std::string>& what) {
    std::vector<std::string> arguments{"cron",    "add", "--name",    name,
                                       "--every", "1d",  "--webhook", house().http_url() + "/v1/hooks/openclaw",
                                       "--json"};
    arguments.insert(arguments.end(), what.begin(), what.end());
    const Ended added = claw().run(arguments);
    EXPECT_EQ(added.code, 0) << added.output;
    return text(Claw::object_in(added.output), "id");
  }

 private:
  static House* house_;
  static Claw* claw_;
};

House* OpenClaw::house_ = nullptr;
Claw* OpenClaw::claw_ = nullptr;

}  // namespace

TEST_F(OpenClaw, FindsTheToolsOfDetentMcpAndHasNothingToSayAgainstThem) {
  const Ended probed = claw().run({"mcp", "probe", "detent", "--json"});
  EXPECT_EQ(probed.code, 0) << probed.output;
  EXPECT_THAT(probed.output, HasSubstr("detent__publish"));
  EXPECT_THAT(probed.output, HasSubstr("detent__submit"));
  EXPECT_THAT(probed.output, HasSubstr("detent__task_status"));
  EXPECT_THAT(probed.output, HasSubstr("detent__inbox"));
  EXPECT_THAT(probed.output, Not(HasSubstr("nnotation")));
}

TEST_F(OpenClaw, ATurnPublishesThroughDetentMcp) {
  const Ended done = turn("mcp", {{"call", "detent__publish"},
                                  {"args", {{"type", "team.report"}, {"title", "By MCP"}, {"severity", "notice"}}},
                                  {"then", "It is published."}});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("It is published."));
  const json::object signal = claw().signal_with("By MCP");
  EXPECT_EQ(text(signal, "type"), "team.report");
  EXPECT_EQ(text(signal, "severity"), "notice");
  EXPECT_EQ(claw().count_with("By MCP"), 1u);
}

TEST_F(OpenClaw, ATurnPublishesThroughThePluginsTool) {
  const Ended done =
      turn("tool", {{"call", "detent_publish"},
                    {"args", {{"type", "briefing.morning"}, {"title", "By the plugin"}, {"body", "Tea."}}}});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("journalled"));
  EXPECT_EQ(text(claw().signal_with("By the plugin"), "type"), "briefing.morning");
}

TEST_F(OpenClaw, ACronJobsWebhookArrivesOnceForARun) {
  const std::string job = add_job("disks", {"--command", "echo 22 percent of the disk"});
  ASSERT_FALSE(job.empty());
  const Ended ran = claw().run({"cron", "run", job, "--wait"});
  EXPECT_EQ(ran.code, 0) << ran.output;
  const json::object signal = claw().signal_with("22 percent");
  EXPECT_EQ(text(signal, "type"), "cron.output");
  EXPECT_EQ(text(signal, "job"), "disks");
  EXPECT_EQ(text(signal, "severity"), "info");
  EXPECT_THAT(text(signal, "output"), HasSubstr("22 percent of the disk"));
  EXPECT_EQ(claw().count_with("22 percent"), 1u);
}

TEST_F(OpenClaw, ACronJobThatFailsIsAnErrorWithItsExitCode) {
  const std::string job = add_job("broken", {"--command", "exit 3"});
  ASSERT_FALSE(job.empty());
  claw().run({"cron", "run", job, "--wait"});
  const json::object signal = claw().signal_with("broken failed");
  EXPECT_EQ(text(signal, "severity"), "error");
  EXPECT_EQ(signal.at("exit_code").to_number<int>(), 3);
}

TEST_F(OpenClaw, TheAlertOfAJobThatKeepsFailingArrivesBesideItsRuns) {
  const std::string job = add_job("hopeless", {"--command", "exit 5"});
  ASSERT_FALSE(job.empty());
  const Ended edited =
      claw().run({"cron", "edit", job, "--failure-alert", "--failure-alert-after", "1", "--failure-alert-mode",
                  "webhook", "--failure-alert-to", house().http_url() + "/v1/hooks/openclaw"});
  EXPECT_EQ(edited.code, 0) << edited.output;
  claw().run({"cron", "run", job, "--wait"});
  EXPECT_EQ(text(claw().signal_with("hopeless failed"), "severity"), "error");
  EXPECT_EQ(text(claw().signal_with("hopeless keeps failing"), "severity"), "error");
}

TEST_F(OpenClaw, ACronJobThatIsAPromptArrivesWithTheModelsWordsAndWithoutThePrompt) {
  const std::string prompt = Claw::order({{"say", "Cron says **hello**."}});
  const std::string job = add_job("morning look", {"--session", "isolated", "--message", prompt});
  ASSERT_FALSE(job.empty());
  claw().run({"cron", "run", job, "--wait"});
  const json::object signal = claw().signal_with("Cron says");
  EXPECT_EQ(text(signal, "type"), "cron.output");
  EXPECT_EQ(text(signal, "body"), "Cron says **hello**.");
  EXPECT_THAT(text(signal, "title"), HasSubstr("morning look succeeded"));
  EXPECT_EQ(claw().count_with(prompt), 0u);
}

TEST_F(OpenClaw, ACronJobThatIsAnnouncedArrivesThroughThePlugin) {
  const Ended added =
      claw().run({"cron", "add", "--name", "announced", "--every", "1d", "--command", "echo told by announce",
                  "--announce", "--channel", "detent", "--to", "cron.output", "--json"});
  EXPECT_EQ(added.code, 0) << added.output;
  claw().run({"cron", "run", text(Claw::object_in(added.output), "id"), "--wait"});
  EXPECT_EQ(text(claw().signal_with("told by announce"), "type"), "cron.output");
  EXPECT_EQ(claw().count_with("told by announce"), 1u);
}

TEST_F(OpenClaw, ARunWithoutAGatewayPublishesThroughThePluginsTool) {
  const Ended done = claw().run({"agent", "exec", "--json", "--cwd", (claw().folder() / "workspace").string(),
                                 "--config", (claw().folder() / "openclaw.json").string(),
                                 Claw::order({{"call", "detent_publish"},
                                              {"args", {{"type", "review.weekly"}, {"title", "By a headless run"}}}})});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_EQ(text(claw().signal_with("By a headless run"), "type"), "review.weekly");
}

TEST_F(OpenClaw, AMessageArrivesAsTheTypeThatItIsSentTo) {
  const Ended sent =
      claw().run({"message", "send", "--channel", "detent", "--target", "team.report", "--message", "By the channel"});
  EXPECT_EQ(sent.code, 0) << sent.output;
  EXPECT_EQ(text(claw().signal_with("By the channel"), "type"), "team.report");
}

TEST_F(OpenClaw, WhatIsSentWhileTheBrokerIsAwayArrivesOnceWhenItIsBack) {
  EXPECT_EQ(house().stop("broker"), 0);
  const Ended sent =
      claw().run({"message", "send", "--channel", "detent", "--target", "team.report", "--message", "While away"});
  EXPECT_EQ(sent.code, 0) << sent.output;
  EXPECT_EQ(claw().spooled(), 1u);
  house().start_broker();
  EXPECT_EQ(text(claw().signal_with("While away"), "type"), "team.report");
  EXPECT_TRUE(eventually([&] { return claw().spooled() == 0; }));
  EXPECT_EQ(claw().count_with("While away"), 1u);
}

TEST_F(OpenClaw, AnAllClearHeartbeatIsHeartbeatOkAndAnyOtherWantsAttention) {
  EXPECT_EQ(claw().run({"system", "event", "--mode", "now", "--text", Claw::order({{"say", "HEARTBEAT_OK"}})}).code, 0);
  EXPECT_EQ(text(claw().signal_with("Nothing needs attention"), "type"), "heartbeat.ok");
  EXPECT_EQ(claw()
                .run({"system", "event", "--mode", "now", "--text", Claw::order({{"say", "The disk is filling up."}})})
                .code,
            0);
  const json::object alert = claw().signal_with("The disk is filling up.");
  EXPECT_EQ(text(alert, "type"), "incident.detected");
  EXPECT_EQ(text(alert, "severity"), "warning");
  EXPECT_TRUE(alert.at("needs_response").as_bool());
}

TEST_F(OpenClaw, ASubagentsEndIsASignalWithWhatItFound) {
  const Ended done = turn("sub",
                          {{"call", "sessions_spawn"},
                           {"args", {{"label", "look around"}, {"task", Claw::order({{"say", "Three things."}})}}},
                           {"then", "It is on its way."}},
                          {"--deliver", "--reply-channel", "detent", "--reply-to", "chat.message"});
  EXPECT_EQ(done.code, 0) << done.output;
  const json::object signal = claw().signal_with("look around is done");
  EXPECT_EQ(text(signal, "type"), "subagent.completed");
  EXPECT_EQ(text(signal, "task"), "look around");
  EXPECT_EQ(claw().count_with("look around is done"), 1u);
}

TEST_F(OpenClaw, ASubagentThatFailsIsAnError) {
  const Ended done = turn("failing",
                          {{"call", "sessions_spawn"},
                           {"args", {{"label", "try it"}, {"task", Claw::order({{"fail", 400}})}}},
                           {"then", "It is on its way."}},
                          {"--deliver", "--reply-channel", "detent", "--reply-to", "chat.message"});
  EXPECT_EQ(done.code, 0) << done.output;
  const json::object signal = claw().signal_with("try it failed");
  EXPECT_EQ(text(signal, "type"), "subagent.failed");
  EXPECT_EQ(text(signal, "severity"), "error");
}

}  // namespace detent::house
