#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <mutex>

#include "base/ulid.h"
#include "cli/text.h"
#include "cli/trace_words.h"
#include "proto/signal.pb.h"
#include "tests/cli/invoke.h"
#include "tests/running/running.h"
#include "tests/support/scripted_broker.h"

namespace detent {

namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr const char* kId = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// A broker that gives this answer and keeps what it was asked.
struct Answering {
  std::mutex mutex;
  std::string last;
  ScriptedBroker broker;
  explicit Answering(std::string answer)
      : broker({.answer = [this, answer](const std::string& json) {
          const std::lock_guard lock(mutex);
          last = json;
          return answer;
        }}) {}
  json::value question() {
    const std::lock_guard lock(mutex);
    return json::parse(last);
  }
  Invoked invoke_with(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--broker", broker.endpoint()});
    return invoke(arguments);
  }
};

}  // namespace

TEST(Status, ShowsChannelsAlarmsAndTheLedger) {
  Answering asked(
      R"({"broker":"detent-broker 0.1.0","config":"/etc/detent/detent.toml",
    "uptime_s":7200,"publishers":"accepted",
    "alarms":[{"name":"circuit/discord.alerts","since":"2026-11-22T14:02:07Z","cause":"circuit open: discord.alerts: 401"}],
    "channels":[{"name":"discord.alerts","pending":5,"in_flight":0,"delivered":7,"dead_letters":1,"consumers":1,"circuit_open":true,
                 "why":"401","oldest_pending":"2026-11-22T14:02:07Z"},
                {"name":"telegram","pending":0,"in_flight":0,"delivered":0,"dead_letters":0,"consumers":0,"circuit_open":false},
                {"name":"discord.system","pending":2,"in_flight":0,"delivered":0,"dead_letters":0,"consumers":1,"circuit_open":false,
                 "retrying":"discord 503","retrying_since":"2026-11-22T14:02:07Z"}],
    "journal":{"bytes":1048576,"segments":2,"disk_free":1073741824},"ledger":{"repository":"/l.git","last_seq":90,"behind":2},
    "counters":{"admitted":92,"repeats":1,"refused":0,"expired":3}})");
  const Invoked shown = asked.invoke_with({"status"});
  EXPECT_EQ(shown.exit, 0) << shown.err;
  EXPECT_THAT(
      shown.out,
      HasSubstr("up 2 h, publishers accepted\nconfig: /etc/detent/detent.toml\nALARM  circuit/discord.alerts since "
                "2026-11-22T14:02:07Z: circuit open: discord.alerts: 401\n"));
  EXPECT_THAT(shown.out, HasSubstr("circuit open: 401"));
  EXPECT_THAT(shown.out, HasSubstr("no consumer connected"));
  EXPECT_THAT(shown.out, HasSubstr("retrying since 2026-11-22T14:02:07Z: discord 503"));
  EXPECT_THAT(shown.out, HasSubstr("ledger   90 of 92 signals in /l.git"));
  EXPECT_THAT(shown.out, HasSubstr("1 MiB in 2 segments, 1 GiB free"));
  EXPECT_EQ(asked.question(), (json::value{{"command", "status"}}));
  EXPECT_TRUE(json::parse(asked.invoke_with({"status", "--json"}).out).is_object());
}

TEST(Status, FailsWhereItsOutputCannotBeWritten) {
  Answering asked("{}");
  std::istringstream in;
  std::ofstream out("/dev/full");
  std::ostringstream err;
  EXPECT_EQ(detent_command({"status", "--broker", asked.broker.endpoint()}, in, out, err, detent_program()), kFailed);
  EXPECT_EQ(err.str(), "detent status: cannot write to standard output\n");
}

TEST(Trace, TellsTheStoryAndEndsInOneSentence) {
  Answering asked(
      R"({"signal":{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","type":"incident.detected","title":"disk\u001b[2J 95%","severity":"error",
    "source":"robo-1"},
    "seq":42,"journalled":"2026-11-22T14:02:07.100Z","repeat_unproven":false,"channels":[
      {"channel":"discord.alerts","state":"retrying","cause":"503","attempts":2,
       "events":[{"at":"2026-11-22T14:02:08.000Z","what":"begun","part":1}]},
      {"channel":"telegram","state":"delivered","cause":"","attempts":1,
       "events":[{"at":"2026-11-22T14:02:09.000Z","what":"delivered","link":"https://t.me/c/1/2"}]}]})");
  const Invoked told = asked.invoke_with({"trace", kId});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("incident.detected: disk[2J 95%\n"));
  EXPECT_THAT(told.out, testing::EndsWith(
                            "\njournalled at 14:02:07 -> discord.alerts, retrying since 14:02:08: 503; -> telegram, "
                            "delivered at 14:02:09 (https://t.me/c/1/2)\n"));
  EXPECT_EQ(asked.question(), (json::value{{"command", "trace"}, {"id", kId}}));
  EXPECT_THAT(asked.invoke_with({"trace", kId, "--json"}).out, HasSubstr("\"sentence\":\"journalled at"));
}

TEST(Trace, RefusesWhatIsNoId) {
  const Invoked wrong = invoke({"trace", "xyz"});
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_THAT(wrong.err, HasSubstr("not a signal's id"));
}

TEST(Trace, HasASentenceForEveryState) {
  const auto sentence = [](const char* state, const char* cause) {
    return trace_sentence(json::value{
        {"journalled", "2026-11-22T14:00:00.000Z"},
        {"channels", json::array{{{"channel", "telegram"},
                                  {"state", state},
                                  {"cause", cause},
                                  {"events", json::array{{{"at", "2026-11-22T14:05:00.000Z"}, {"what", "x"}}}}}}}});
  };
  EXPECT_EQ(sentence("dead", "backlog"),
            "journalled at 14:00:00 -> telegram, given up at 14:05:00, now a dead letter: backlog");
  EXPECT_EQ(sentence("expired", ""),
            "journalled at 14:00:00 -> telegram, expired at 14:05:00 before it could be delivered");
  EXPECT_THAT(sentence("unknown", ""), HasSubstr("perhaps delivered at 14:05:00"));
  EXPECT_THAT(sentence("dropped", ""), HasSubstr("dropped by the operator at 14:05:00"));
  EXPECT_EQ(trace_sentence(json::value{{"journalled", "2026-11-22T14:00:00.000Z"}, {"channels", json::array{}}}),
            "journalled at 14:00:00, and no route names a channel: recorded, not delivered anywhere");
}

TEST(Dead, ListsShowsAndBringsBack) {
  Answering list(
      R"({"letters":[{"channel":"telegram","delivery":7,"seqs":[7],"type":"a.b","title":"x","cause":"403 blocked",
      "at":"2026-11-22T14:02:07Z"}],"total":1})");
  EXPECT_THAT(list.invoke_with({"dead", "list"}).out,
              HasSubstr("7         telegram  2026-11-22T14:02:07Z  a.b   x      403 blocked"));
  Answering none(R"({"letters":[],"total":0})");
  EXPECT_EQ(none.invoke_with({"dead", "list", "--channel", "telegram"}).out, "no dead letters of telegram\n");
  Answering retry(R"({"retried":3,"of":3})");
  EXPECT_EQ(retry.invoke_with({"dead", "retry", "--channel", "telegram"}).out, "brought back 3\n");
  EXPECT_EQ(retry.question(), (json::value{{"command", "dead.retry"}, {"channel", "telegram"}}));
  retry.invoke_with({"dead", "retry", "7"});
  EXPECT_EQ(retry.question(), (json::value{{"command", "dead.retry"}, {"delivery", 7}}));
  retry.invoke_with({"dead", "drop", "--all"});
  EXPECT_EQ(retry.question(), (json::value{{"command", "dead.drop"}, {"all", true}}));
  const Invoked which = retry.invoke_with({"dead", "retry"});
  EXPECT_EQ(which.exit, 2);
  EXPECT_THAT(which.err, HasSubstr("say which"));
}

TEST(Dead, WaitsForManyAsLongAsTheBrokerIsThereAndAtWork) {
  const auto answer = [](const std::string&) { return std::string(R"({"retried":3,"of":3})"); };
  ScriptedBroker broker({.answer = answer, .pings_first = 26});  // longer than the 5 s that a single one has
  const Invoked done = invoke({"dead", "retry", "--all", "--broker", broker.endpoint()});
  EXPECT_EQ(done.exit, 0) << done.err;
  EXPECT_EQ(done.out, "brought back 3\n");
}

TEST(Dead, SaysThatItMayBeDoneYetWhereADeadlinePasses) {
  const auto answer = [](const std::string&) { return std::string(R"({"dropped":3,"of":3})"); };
  ScriptedBroker broker({.answer = answer, .pings_first = 26});
  const Invoked done = invoke({"dead", "drop", "--all", "--deadline", "1s", "--broker", broker.endpoint()});
  EXPECT_EQ(done.exit, 1);
  EXPECT_EQ(done.err, "detent dead drop: the broker at " + broker.endpoint() +
                          " gave no answer within 1 s; it was told, and may do it yet: see `detent dead list`\n");
}

TEST(Ask, SaysWhatTheBrokerSaidNoTo) {
  test::StartedBroker broker;
  const Invoked failed = invoke({"channel", "drop", "x", "--broker", broker.endpoint()});
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.err, "detent channel drop: no channel \"x\"\n");
}

TEST(Ask, GivesUpAtItsDeadline) {
  ScriptedBroker broker({.silent = true});
  const Invoked failed = invoke({"status", "--broker", broker.endpoint(), "--deadline", "100ms"});
  EXPECT_EQ(failed.exit, 1);
  EXPECT_THAT(failed.err, HasSubstr("gave no answer"));
}

TEST(Reload, ShowsTheVerdictOfEachSection) {
  Answering asked(R"({"routing":"applied","broker":"needs a restart"})");
  EXPECT_EQ(asked.invoke_with({"reload"}).out, "routing  applied\nbroker   needs a restart\n");
}

TEST(Tail, RefusesAChannelThatTheBrokerDoesNotHave) {
  test::StartedBroker broker;
  const Invoked refused = invoke({"tail", "--channel", "nope", "--broker", broker.endpoint()});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("the broker has no channel \"nope\""));
}

/// A broker with two incidents.
struct WithTwo : test::StartedBroker {
  WithTwo() {
    for (const char* id : {kId, "01ARZ3NDEKTSV4RRFFQ69G5FAW"}) {
      Signal signal;
      signal.set_id(std::string(Ulid::parse(id)->view()));
      signal.set_type("incident.detected");
      signal.set_source("test");
      signal.set_severity(ERROR);
      Incident incident;
      incident.set_title("disk 95%");
      signal.set_payload(incident.SerializeAsString());
      test::Caller(endpoint()).publish({signal.SerializeAsString()});
    }
  }
};

TEST(Tail, ShowsSignalsAndEndsAfterCount) {
  WithTwo broker;
  const Invoked shown = invoke({"tail", "--since", "1h", "--count", "1", "--broker", broker.endpoint()});
  EXPECT_EQ(shown.exit, 0) << shown.err;
  EXPECT_THAT(shown.out,
              MatchesRegex("20..-..-..T..:..:..Z  error     incident.detected  disk 95%  -> discord.system  " +
                           std::string(kId) + "\n"));
  const Invoked raw = invoke({"tail", "--since", "1h", "--count", "2", "--json", "--broker", broker.endpoint()});
  const auto line = json::parse(raw.out.substr(0, raw.out.find('\n')));
  EXPECT_EQ(text_of(line.at("signal"), "title"), "disk 95%");
}

TEST(Tail, EndsWhenNobodyReadsOn) {
  WithTwo broker;
  const std::string tail = "timeout 60 " + detent_program() + " tail --since 1h --broker " + broker.endpoint();
  EXPECT_EQ(std::system(("bash -c 'set -o pipefail; " + tail + " | head -n 2 >/dev/null'").c_str()), 0);
}

TEST(Routes, ExplainsByTheConfig) {
  Folder folder;
  const std::string config = folder.write("detent.toml", "[discord.channels]\nsystem = \"1\"\nalerts = \"2\"\n");
  const Invoked told = invoke({"--config", config, "routes", "explain", "service.outage"});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("service.outage goes to discord.alerts\n"));
  EXPECT_EQ(invoke({"--config", config, "routes", "test", "service.outage", "--to", "discord.alerts"}).exit, 0);
  const Invoked other = invoke({"--config", config, "routes", "test", "chat.message", "--to", "discord.alerts"});
  EXPECT_EQ(other.exit, 1);
  EXPECT_THAT(other.err, HasSubstr("chat.message goes to discord.system, not to discord.alerts"));
}

TEST(ConfigCheck, EndsWithTwoAndEveryProblem) {
  Folder folder;
  const std::string config = folder.write("detent.toml", "[broker]\nlisten = 7\n[discord]\nchanels = 1\n");
  const Invoked wrong = invoke({"--config", config, "config", "check"});
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_EQ(wrong.err, config + ":2:10: listen must be \"tcp://HOST:PORT\" or \"ipc://PATH\"\n" + config +
                           ":4:1: unknown key \"chanels\" in [discord], did you mean \"channels\"?\n");
  const std::string routed = folder.write("routes.toml", "[[route]]\nto = [\"discord.x\"]\n");
  EXPECT_THAT(invoke({"--config", routed, "config", "check"}).err, HasSubstr("route 1 goes to \"discord.x\""));
  const std::string good =
      folder.write("good.toml", "[discord.channels]\nsystem = { webhook = \"https://example.org/x\" }\n");
  const Invoked fine = invoke({"--config", good, "config", "check", "--json"});
  EXPECT_EQ(fine.exit, 0);
  EXPECT_TRUE(json::parse(fine.out).at("ok").as_bool());
}

TEST(Text, KeepsATitleFromMovingTheCursor) {
  EXPECT_EQ(plain("a\x1b[31mb\nc\x7f\xc2\x9b d"), "a[31mb c d");
  EXPECT_EQ(plain("schön 日本"), "schön 日本");
}

}  // namespace detent
