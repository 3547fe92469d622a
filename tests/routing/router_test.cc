#include "routing/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detent {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kAll = R"(
[telegram]
chat = 1
[discord.channels]
briefings = "1"
alerts = "2"
sub-agent-results = "3"
system = "4"
memory-updates = "5"
chat = "6"
)";

Config config(const std::string& text) {
  Result<Config> parsed = parse_config(text, "detent.toml");
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().what);
  return parsed ? *parsed : Config{};
}

Router router(const std::string& text) {
  Result<Router> compiled = Router::compile(config(text));
  EXPECT_TRUE(compiled.has_value()) << (compiled ? "" : compiled.error().what);
  return compiled ? *compiled : Router{};
}

std::vector<std::string> of(Router& router, const Asked& asked) { return router.decide(asked).channels; }

struct Row {
  const char* type;
  const char* channel;
};

}  // namespace

class DefaultTable : public testing::TestWithParam<Row> {};

TEST_P(DefaultTable, SendsEachTypeToItsChannelAlone) {
  Router all = router(kAll);
  const int worst = std::string_view(GetParam().type) == "cron.output" ? 2 : 4;  // a job that failed: see below
  for (int severity = 0; severity <= worst; ++severity) {
    EXPECT_THAT(of(all, {.type = GetParam().type, .severity = severity}), ElementsAre(GetParam().channel));
    EXPECT_FALSE(all.decide({.type = GetParam().type, .severity = severity}).fallback);
  }
}

TEST_P(DefaultTable, SendsWhatNeedsAResponseToTheOperatorAndACopyToItsChannel) {
  Router all = router(kAll);
  EXPECT_THAT(of(all, {.type = GetParam().type, .needs_response = true}), ElementsAre("telegram", GetParam().channel));
  EXPECT_TRUE(all.decide({.type = GetParam().type, .needs_response = true}).copies);
  EXPECT_FALSE(all.decide({.type = GetParam().type}).copies);
}

INSTANTIATE_TEST_SUITE_P(
    Router, DefaultTable,
    testing::Values(Row{"briefing.morning", "discord.briefings"}, Row{"review.weekly", "discord.briefings"},
                    Row{"incident.detected", "discord.alerts"}, Row{"incident.resolved", "discord.alerts"},
                    Row{"service.outage", "discord.alerts"}, Row{"service.restored", "discord.alerts"},
                    Row{"threshold.crossed", "discord.alerts"}, Row{"subagent.completed", "discord.sub-agent-results"},
                    Row{"subagent.failed", "discord.sub-agent-results"}, Row{"heartbeat.ok", "discord.system"},
                    Row{"health.check", "discord.system"}, Row{"cron.output", "discord.system"},
                    Row{"memory.updated", "discord.memory-updates"}, Row{"chat.message", "discord.chat"}));

TEST(Router, SendsAnyOtherTypeToTheDefaultAndSaysSo) {
  Router all = router(kAll);
  EXPECT_THAT(of(all, {.type = "something.else"}), ElementsAre("discord.system"));
  EXPECT_THAT(of(all, {.type = "something.else"}), ElementsAre("discord.system"));
  EXPECT_THAT(of(all, {.type = "something.else", .needs_response = true}), ElementsAre("telegram", "discord.system"));
  EXPECT_TRUE(all.decide({.type = "something.else"}).fallback);
}

TEST(Router, SendsErrorsOfAnUnknownTypeToTheAlerts) {
  Router all = router(kAll);
  EXPECT_THAT(of(all, {.type = "something.else", .severity = 2}), ElementsAre("discord.system"));
  for (const int severity : {3, 4}) {
    EXPECT_THAT(of(all, {.type = "something.else", .severity = severity}), ElementsAre("discord.alerts"));
    EXPECT_FALSE(all.decide({.type = "something.else", .severity = severity}).fallback);
  }
}

TEST(Router, SendsAFailedJobToTheAlerts) {
  Router all = router(kAll);
  EXPECT_THAT(of(all, {.type = "cron.output", .severity = 3}), ElementsAre("discord.alerts"));
  EXPECT_THAT(of(all, {.type = "health.check", .severity = 3}), ElementsAre("discord.system"));
}

TEST(Router, KeepsTheOperatorAndTheTableBesideOnesOwnRoutes) {
  Router routed = router(std::string("[[route]]\nmatch = { type = \"incident.*\" }\nto = [\"discord.chat\"]\n") + kAll);
  EXPECT_THAT(of(routed, {.type = "incident.detected"}), ElementsAre("discord.chat"));
  EXPECT_THAT(of(routed, {.type = "incident.detected", .needs_response = true}),
              ElementsAre("telegram", "discord.chat"));
  EXPECT_THAT(of(routed, {.type = "review.weekly"}), ElementsAre("discord.briefings"));
  EXPECT_THAT(of(routed, {.type = "review.weekly", .needs_response = true}),
              ElementsAre("telegram", "discord.briefings"));
}

TEST(Router, GoesOnFromACopyingRouteToTheTable) {
  Router routed = router(std::string("[[route]]\nto = [\"discord.chat\"]\ncontinue = true\n") + kAll);
  EXPECT_THAT(of(routed, {.type = "review.weekly"}), ElementsAre("discord.chat", "discord.briefings"));
  EXPECT_THAT(of(routed, {.type = "other"}), ElementsAre("discord.chat", "discord.system"));
}

TEST(Router, FollowsOnlyWhatIsWrittenWithoutTheBuiltInRoutes) {
  Router none = router(std::string("builtin_routes = false\n") + kAll);
  EXPECT_THAT(of(none, {.type = "incident.detected", .severity = 4, .needs_response = true}),
              ElementsAre("discord.system"));
  EXPECT_THAT(none.notes(),
              ElementsAre("builtin_routes = false, and no route reaches the operator (telegram): what needs a response "
                          "is not brought to you"));
  Router own = router(std::string("builtin_routes = false\n[[route]]\nmatch = { type = \"a\" }\n"
                                  "to = [\"discord.chat\", \"telegram\"]\n") +
                      kAll);
  EXPECT_THAT(own.notes(), IsEmpty());
  EXPECT_THAT(of(own, {.type = "a"}), ElementsAre("discord.chat", "telegram"));
  EXPECT_FALSE(own.decide({.type = "a"}).copies);
  EXPECT_THAT(of(own, {.type = "a", .needs_response = true}), ElementsAre("telegram", "discord.chat"))
      << "the operator's channel comes first, the others are copies";
  EXPECT_TRUE(own.decide({.type = "a", .needs_response = true}).copies);
  Router never = router(std::string("builtin_routes = false\n[[route]]\nmatch = { needs_response = false }\n"
                                    "to = [\"telegram\"]\n") +
                        kAll);
  EXPECT_THAT(never.notes(), testing::SizeIs(1)) << "a route for what needs no response does not reach the operator";
}

TEST(Router, TakesTheOperatorsChannelFromTheConfig) {
  Router other = router(std::string("[operator]\nchannel = \"discord.chat\"\nalarms_to = [\"telegram\"]\n") + kAll);
  EXPECT_EQ(other.operator_channel(), "discord.chat");
  EXPECT_THAT(of(other, {.type = "incident.detected", .needs_response = true}),
              ElementsAre("discord.chat", "discord.alerts"));
  EXPECT_THAT(other.about_operator_channel().channels, ElementsAre("telegram"));
  EXPECT_THAT(router(kAll).about_operator_channel().channels, ElementsAre("discord.alerts"));
}

TEST(Router, NeverSaysInTheOperatorsChannelThatItDoesNotWork) {
  EXPECT_THAT(router("default_to = [\"telegram\", \"discord.system\"]\n[telegram]\nchat = 1\n"
                     "[discord.channels]\nsystem = \"1\"\n")
                  .about_operator_channel()
                  .channels,
              ElementsAre("discord.system"));
  EXPECT_THAT(router("default_to = \"telegram\"\n[telegram]\nchat = 1\n").about_operator_channel().channels, IsEmpty());
  const auto refused = Router::compile(config("[operator]\nalarms_to = \"telegram\"\n[telegram]\nchat = 1\n"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().what,
            "detent.toml:2:13: [operator] alarms_to names telegram, the very channel that these alarms are about");
}

TEST(Router, AChannelMadeTheOperatorsLeavesTheDefaultForAlarmsAboutIt) {
  EXPECT_THAT(router("default_to = \"discord.system\"\n[operator]\nchannel = \"discord.alerts\"\n"
                     "[discord.channels]\nalerts = \"2\"\nsystem = \"4\"\n")
                  .about_operator_channel()
                  .channels,
              ElementsAre("discord.system"));
}

TEST(Router, RefusesAnOperatorsChannelThatIsNotConfigured) {
  const auto refused = Router::compile(config("[operator]\nchannel = \"discord.me\"\n"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().what,
            "detent.toml:2:11: [operator] channel goes to \"discord.me\", which is not configured: add me to "
            "[discord.channels]");
}

TEST(Router, SendsTasksToDispatchBesideWhatTheRoutesSay) {
  Router all = router(kAll);
  EXPECT_THAT(of(all, {.type = "task.requested"}), ElementsAre("discord.system", "dispatch"));
  Router routed = router(std::string("[[route]]\nmatch = { type = \"task.*\" }\nto = [\"discord.alerts\"]\n") + kAll);
  EXPECT_THAT(of(routed, {.type = "task.requested"}), ElementsAre("discord.alerts", "dispatch"));
  EXPECT_THAT(of(routed, {.type = "task.finished"}), ElementsAre("discord.alerts"));
  Router twice = router(std::string("[[route]]\nto = [\"dispatch\"]\n") + kAll);
  EXPECT_THAT(of(twice, {.type = "task.requested"}), ElementsAre("dispatch"));
}

TEST(Router, StopsAtTheFirstMatchUnlessItContinues) {
  Router routed = router(R"(
    [[route]]
    match = { type = "incident.*", severity = ">=error" }
    to = ["discord.alerts", "discord.system"]
    continue = true
    [[route]]
    match = { type = "incident.*" }
    to = ["discord.system", "discord.chat"]
    [[route]]
    to = ["discord.briefings"]
  )" + std::string(kAll));
  EXPECT_THAT(of(routed, {.type = "incident.detected", .severity = 3}),
              ElementsAre("discord.alerts", "discord.system", "discord.chat"));
  EXPECT_THAT(of(routed, {.type = "incident.detected", .severity = 2}), ElementsAre("discord.system", "discord.chat"));
  EXPECT_THAT(of(routed, {.type = "other"}), ElementsAre("discord.briefings"));
}

TEST(Router, AddsTheDefaultWhereNothingEndsTheSearch) {
  Router routed = router(R"(
    default_to = ["discord.chat"]
    [[route]]
    match = { needs_response = true }
    to = ["telegram"]
    continue = true
  )" + std::string(kAll));
  EXPECT_THAT(of(routed, {.type = "a", .needs_response = true}), ElementsAre("telegram", "discord.chat"));
  EXPECT_THAT(of(routed, {.type = "a"}), ElementsAre("discord.chat"));
}

TEST(Router, AsksSeveritySourceLabelsAndNeed) {
  Router routed = router(R"(
    [[route]]
    match = { severity = "critical" }
    to = ["telegram"]
    [[route]]
    match = { source = "robo-*", labels = { team = "infra", tier = "*" } }
    to = ["discord.alerts"]
    [[route]]
    match = { needs_response = false, severity = ">=warning" }
    to = ["discord.briefings"]
  )" + std::string(kAll));
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;
  const Labels both{{"tier", "1"}, {"team", "infra"}}, one{{"team", "infra"}}, other{{"team", "web"}, {"tier", "1"}};
  EXPECT_THAT(of(routed, {.type = "a", .severity = 4}), ElementsAre("telegram"));
  EXPECT_THAT(of(routed, {.type = "a", .source = "robo-1", .labels = both}), ElementsAre("discord.alerts"));
  EXPECT_THAT(of(routed, {.type = "a", .source = "robo-1", .labels = one}), ElementsAre("discord.system"));
  EXPECT_THAT(of(routed, {.type = "a", .source = "robo-1", .labels = other}), ElementsAre("discord.system"));
  EXPECT_THAT(of(routed, {.type = "a", .source = "web-1", .labels = both}), ElementsAre("discord.system"));
  EXPECT_THAT(of(routed, {.type = "a", .severity = 3}), ElementsAre("discord.briefings"));
  EXPECT_THAT(of(routed, {.type = "a", .severity = 2, .needs_response = true}),
              ElementsAre("telegram", "discord.system"));
}

TEST(Router, RefusesARouteToAChannelThatIsNotConfigured) {
  const auto refused = Router::compile(
      config("default_to = [\"discord.sytem\"]\n[[route]]\nto = [\"discord.alert\"]\n[[route]]\n"
             "to = [\"telegram\", \"discord.x\", \"pager\"]\n[discord.channels]\nalerts = \"1\"\nsystem = \"2\"\n"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(
      refused.error().what,
      "detent.toml:1:14: default_to goes to \"discord.sytem\", which is not configured: did you mean "
      "\"discord.system\"?\n"
      "detent.toml:2:1: route 1 goes to \"discord.alert\", which is not configured: did you mean \"discord.alerts\"?\n"
      "detent.toml:4:1: route 2 goes to \"telegram\", which is not configured: set [telegram] chat\n"
      "detent.toml:4:1: route 2 goes to \"discord.x\", which is not configured: add x to [discord.channels]\n"
      "detent.toml:4:1: route 2 goes to \"pager\", which is not configured: channels are discord.NAME, telegram and "
      "dispatch");
}

TEST(Router, SendsBuiltInRoutesToTheDefaultWhereTheirChannelIsNotConfiguredAndSaysSo) {
  Router few = router("[discord.channels]\nsystem = \"1\"\nalerts = \"2\"\n");
  EXPECT_THAT(of(few, {.type = "briefing.morning"}), ElementsAre("discord.system"));
  EXPECT_THAT(of(few, {.type = "incident.detected"}), ElementsAre("discord.alerts"));
  EXPECT_THAT(of(few, {.type = "incident.detected", .needs_response = true}),
              ElementsAre("discord.system", "discord.alerts"));
  EXPECT_FALSE(few.decide({.type = "incident.detected", .needs_response = true}).copies);
  EXPECT_THAT(few.notes(),
              ElementsAre("telegram is not configured: what needs a response goes to default_to (discord.system)",
                          "not configured: discord.briefings, discord.sub-agent-results, discord.memory-updates, "
                          "discord.chat; what the built-in routes send there goes to default_to (discord.system)"));
}

TEST(Router, RecordsSignalsWithoutDeliveryWhereNoChannelIsConfigured) {
  Router none = router("");
  EXPECT_THAT(of(none, {.type = "heartbeat.ok"}), IsEmpty());
  EXPECT_THAT(of(none, {.type = "other", .needs_response = true}), IsEmpty());
  EXPECT_THAT(none.notes()[0], HasSubstr("recorded, not delivered anywhere"));
}

TEST(Router, RemembersNoMoreTypesThanItShould) {
  Router all = router(kAll);
  for (int i = 0; i < 5000; ++i) {
    EXPECT_THAT(of(all, {.type = "type." + std::to_string(i)}), ElementsAre("discord.system"));
  }
  EXPECT_THAT(of(all, {.type = "review.weekly"}), ElementsAre("discord.briefings"));
}

TEST(Router, ExplainsEachStepInWords) {
  const Router all = router(kAll);
  const Explained two = all.explain({.type = "cron.output", .needs_response = true});
  EXPECT_THAT(two.route.channels, ElementsAre("telegram", "discord.system"));
  EXPECT_THAT(
      two.why,
      ElementsAre("it needs a response -> telegram, the operator's channel; the others get a copy",
                  "a built-in route matches: type heartbeat.ok or health.check or cron.output -> discord.system"));
  EXPECT_THAT(all.explain({.type = "x"}).why, ElementsAre("no route matches -> default_to: discord.system"));
  const Router routed = router(R"(
    [[route]]
    match = { type = "a*", severity = ">=error" }
    to = ["discord.alerts"]
  )" + std::string(kAll));
  EXPECT_THAT(routed.explain({.type = "ab", .severity = 4}).why,
              ElementsAre("route 1 (detent.toml:2:5) matches: type a*, severity >=error -> discord.alerts"));
  EXPECT_THAT(router("").explain({.type = "x", .needs_response = true}).why,
              ElementsAre("it needs a response -> no channel, by default_to, since no operator's channel is configured",
                          "no route matches -> default_to: no channel"));
}

}  // namespace detent
