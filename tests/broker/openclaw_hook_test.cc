// What OpenClaw's cron posts becomes one signal, however often and in whatever state it is posted. The bodies are those
// of OpenClaw 2026.9.6.
#include "broker/openclaw_hook.h"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "base/ulid.h"
#include "broker/config.h"
#include "http/client.h"
#include "proto/signal.pb.h"
#include "tests/running/running.h"

namespace detent {

namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::string kAgentTurn =
    R"({"jobId":"ec4819b7-1","action":"finished","job":{"id":"ec4819b7-1","name":"morning look","schedule":{"kind":"at"},
    "payload":{"kind":"agentTurn","message":"the prompt itself"},"delivery":{"mode":"webhook"},"state":{}},
    "runAtMs":1795652785757,"durationMs":14399,"status":"ok","summary":"cron says **hello**","delivered":true,
    "model":"fake","provider":"local","usage":{"input_tokens":100}})";

const std::string kCommand =
    R"({"jobId":"j2","action":"finished","job":{"name":"disks","payload":{"kind":"command","argv":["df","-h"]}},
    "runAtMs":1795652785757,"durationMs":12,"status":"ok","summary":"/dev/vda 22%",
    "diagnostics":{"entries":[{"exitCode":0}]}})";

const std::string kFailedCommand =
    R"({"jobId":"j2","action":"finished","job":{"name":"disks","payload":{"kind":"command","argv":["df","-h"]}},
    "runAtMs":1795652785758,"durationMs":12,"status":"error","error":"command exited with code 3"})";

Signal hooked(const std::string& body) {
  Signal signal;
  const auto made = signal_from_openclaw(body);
  EXPECT_TRUE(made) << made.error().what;
  EXPECT_TRUE(made && signal.ParseFromString(*made));
  return signal;
}

CronOutput cron_of(const Signal& signal) {
  CronOutput cron;
  EXPECT_EQ(signal.type(), "cron.output");
  EXPECT_TRUE(cron.ParseFromString(signal.payload()));
  return cron;
}

std::string refusal(const std::string& body) {
  const auto made = signal_from_openclaw(body);
  return made ? "taken" : made.error().what;
}

/// A broker that answers HTTP too.
struct Served : test::Running {
  explicit Served(std::optional<Secret> token = {}) {
    config.of<BrokerConfig>().http = "127.0.0.1:0";
    config.of<BrokerConfig>().http_token = std::move(token);
    start();
  }
  http::Response post(const std::string& body, http::Headers headers = {}) {
    return client
        .send({.method = "POST",
               .url = http_url() + "/v1/hooks/openclaw",
               .headers = std::move(headers),
               .body = body,
               .deadline = Millis{60'000}})
        .value();
  }
  std::string metrics() { return client.send({.url = http_url() + "/metrics"}).value().body; }
  std::vector<std::string> taken() {
    test::Caller caller(endpoint());
    caller.tail(1);
    EXPECT_TRUE(caller.until([&] { return caller.caught_up; }));
    std::vector<std::string> all;
    for (const auto& tailed : caller.tailed) all.push_back(tailed.signal());
    return all;
  }
  http::KeepAliveClient client;
};

}  // namespace

TEST(OpenClawHook, AnAgentTurnsAnswerIsTheBody) {
  const Signal signal = hooked(kAgentTurn);
  const CronOutput cron = cron_of(signal);
  EXPECT_EQ(signal.source(), "openclaw");
  EXPECT_EQ(signal.severity(), INFO);
  EXPECT_EQ(signal.created_ms(), 1795652785757);
  EXPECT_EQ(Ulid::from_bytes(signal.id())->time(), Millis{1795652785757});
  EXPECT_EQ(cron.title(), "morning look succeeded after 14 s");
  EXPECT_EQ(cron.job(), "morning look");
  EXPECT_EQ(cron.body(), "cron says **hello**");
  EXPECT_EQ(cron.took_ms(), 14399);
  EXPECT_THAT(signal.SerializeAsString(), Not(HasSubstr("the prompt itself")));
}

TEST(OpenClawHook, ACommandsOutputIsPlainTextAndItsWordsStayAtHome) {
  const CronOutput cron = cron_of(hooked(kCommand));
  EXPECT_EQ(cron.output(), "/dev/vda 22%");
  EXPECT_THAT(cron.body(), IsEmpty());
  EXPECT_THAT(cron.command(), IsEmpty());
  EXPECT_EQ(cron.title(), "disks succeeded after 12 ms");
}

TEST(OpenClawHook, AFailureIsAnErrorWithTheExitCodeThatItsTextNames) {
  const Signal signal = hooked(kFailedCommand);
  const CronOutput cron = cron_of(signal);
  EXPECT_EQ(signal.severity(), ERROR);
  EXPECT_EQ(cron.title(), "disks failed after 12 ms");
  EXPECT_EQ(cron.exit_code(), 3);
  EXPECT_EQ(cron.body(), "command exited with code 3");
  EXPECT_EQ(cron_of(hooked(R"({"jobId":"j","runAtMs":5,"status":"error","error":"command exited with code 3x"})"))
                .exit_code(),
            0);
}

TEST(OpenClawHook, TheIdIsThatOfTheRun) {
  EXPECT_EQ(hooked(kAgentTurn).id(), hooked(kAgentTurn).id());
  EXPECT_NE(hooked(kCommand).id(), hooked(kAgentTurn).id());      // same time, another job
  EXPECT_NE(hooked(kCommand).id(), hooked(kFailedCommand).id());  // same job, another time
  std::string undelivered = kAgentTurn;
  undelivered.replace(undelivered.find("\"delivered\":true"), 16, "\"delivered\":false");
  EXPECT_EQ(hooked(undelivered).SerializeAsString(), hooked(kAgentTurn).SerializeAsString());
}

TEST(OpenClawHook, AnAllClearIsAHeartbeatAndAnythingElseIsNot) {
  const auto with = [](const std::string& summary) {
    return hooked(R"({"jobId":"j","runAtMs":5,"status":"ok","summary":")" + summary + "\"}").type();
  };
  EXPECT_EQ(with("HEARTBEAT_OK"), "heartbeat.ok");
  EXPECT_EQ(with(" **HEARTBEAT_OK**\\n"), "heartbeat.ok");
  EXPECT_EQ(with("HEARTBEAT_OK but the disk is full"), "cron.output");
}

TEST(OpenClawHook, AnAlertOfAFailingJobIsASignalBesideItsRun) {
  const Signal signal =
      hooked(R"({"jobId":"j2","jobName":"disks","message":"failed 3 times","runAtMs":1795652785758})");
  EXPECT_EQ(signal.severity(), ERROR);
  EXPECT_EQ(cron_of(signal).title(), "disks keeps failing");
  EXPECT_EQ(cron_of(signal).body(), "failed 3 times");
  EXPECT_NE(signal.id(), hooked(kFailedCommand).id());
}

TEST(OpenClawHook, LongTextsAreCutAndNamesStayOneLine) {
  const Signal signal = hooked(R"({"jobId":"j","runAtMs":5,"status":"ok","job":{"name":"a\nb)" + std::string(900, 'n') +
                               R"("},"summary":")" + std::string(2 << 20, 's') + "\"}");
  const CronOutput cron = cron_of(signal);
  EXPECT_LT(cron.title().size(), 512u);
  EXPECT_THAT(cron.title(), Not(HasSubstr("\n")));
  EXPECT_LT(cron.body().size(), (1u << 20) + 100);
  EXPECT_THAT(cron.body(), HasSubstr("cut after 1 MiB"));
}

TEST(OpenClawHook, ARefusalNamesTheMember) {
  EXPECT_THAT(refusal("{"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal("[]"), HasSubstr("object"));
  EXPECT_THAT(refusal(R"({"runAtMs":5,"status":"ok"})"), HasSubstr("jobId"));
  EXPECT_THAT(refusal(R"({"jobId":7,"runAtMs":5,"status":"ok"})"), HasSubstr("jobId"));
  for (const char* time : {"0", "-1", "\"5\"", "1e300", "1.5", "253402300800000", "null"}) {
    EXPECT_THAT(refusal(std::string(R"({"jobId":"j","status":"ok","runAtMs":)") + time + "}"), HasSubstr("runAtMs"))
        << time;
  }
  EXPECT_THAT(refusal(R"({"jobId":"j","runAtMs":5,"status":"fine"})"), HasSubstr("status"));
  EXPECT_THAT(refusal(R"({"jobId":"j","runAtMs":5,"status":"ok","action":"started"})"), HasSubstr("action"));
}

TEST(OpenClawHook, ArrivesOnceHoweverOftenItIsPosted) {
  Served broker;
  for (int i = 0; i < 3; ++i) {
    const auto answer = broker.post(kAgentTurn, {{"Content-Type", "application/json"}});
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_THAT(answer.body, HasSubstr("JOURNALED"));
  }
  EXPECT_THAT(broker.taken(), SizeIs(1));
}

TEST(OpenClawHook, AnswersOnlyOnceTheSignalIsOnDisk) {
  Served broker;
  broker.disk.hold_writes(true);
  std::atomic<int> status = 0;
  std::thread waiting([&] { status = broker.post(kCommand).status; });
  EXPECT_TRUE(broker.wait_for(
      [](const auto& now) { return now.at("counters").at("admitted").template to_number<int>() == 1; }));
  EXPECT_EQ(status, 0);
  broker.disk.hold_writes(false);
  waiting.join();
  EXPECT_EQ(status, 200);
}

TEST(OpenClawHook, AMalformedBodyIsRefusedAndCounted) {
  Served broker;
  EXPECT_THAT(broker.metrics(), HasSubstr("detent_hooks_rejected_total{hook=\"openclaw\"} 0"));
  const auto answer = broker.post(R"({"jobId":"j"})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("runAtMs"));
  EXPECT_THAT(broker.metrics(), HasSubstr("detent_hooks_rejected_total{hook=\"openclaw\"} 1"));
  EXPECT_THAT(broker.taken(), IsEmpty());
}

TEST(OpenClawHook, WantsTheTokenWhereThereIsOne) {
  Served broker(Secret::literal("hook-secret"));
  EXPECT_EQ(broker.post(kCommand).status, 401);
  EXPECT_EQ(broker.post(kCommand, {{"Authorization", "Bearer other-secret"}}).status, 401);
  EXPECT_EQ(broker.post(kCommand, {{"Authorization", "Bearer hook-secret"}}).status, 200);
  EXPECT_THAT(broker.taken(), SizeIs(1));
}

TEST(OpenClawHook, ABodyOverTheLimitIsRefused) {
  Served broker;
  EXPECT_EQ(broker.post(std::string(kMaxFrame + 1000, ' ')).status, 413);
}

TEST(OpenClawHook, AWebPageIsNoProducerHereEither) {
  Served broker;
  EXPECT_EQ(broker.post(kCommand, {{"Origin", "https://evil.example"}}).status, 403);
  EXPECT_EQ(broker.post(kCommand, {{"Sec-Fetch-Site", "cross-site"}}).status, 403);
  EXPECT_EQ(broker.client.send({.url = broker.http_url() + "/v1/hooks/openclaw"}).value().status, 405);
  EXPECT_THAT(broker.taken(), IsEmpty());
}

}  // namespace detent
