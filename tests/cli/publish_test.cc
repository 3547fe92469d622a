#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "proto/signal.pb.h"
#include "tests/cli/invoke.h"
#include "tests/running/running.h"
#include "tests/support/scripted_broker.h"

namespace detent {

namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;

Signal only_signal(test::StartedBroker& broker) {
  Signal signal;
  EXPECT_THAT(broker.published(), SizeIs(1));
  EXPECT_TRUE(!broker.published().empty() && signal.ParseFromString(broker.published()[0]));
  return signal;
}

}  // namespace

TEST(Publish, SendsWhatItsFlagsSay) {
  test::StartedBroker broker;
  const Invoked done = invoke({"publish",
                               "incident.detected",
                               "disk 95%",
                               "--broker",
                               broker.endpoint(),
                               "--severity",
                               "error",
                               "--source",
                               "robo-1",
                               "--field",
                               "host=robo-1",
                               "--field",
                               "mount=/var",
                               "--label",
                               "team=infra",
                               "--needs-response",
                               "--thread",
                               "disk",
                               "--expires",
                               "10m",
                               "--id",
                               "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                               "--body",
                               "-"},
                              "it **fills** up");
  EXPECT_EQ(done.exit, 0) << done.err;
  EXPECT_EQ(done.out, "01ARZ3NDEKTSV4RRFFQ69G5FAV journalled\n");
  const Signal signal = only_signal(broker);
  EXPECT_EQ(signal.type(), "incident.detected");
  EXPECT_EQ(signal.source(), "robo-1");
  EXPECT_EQ(signal.severity(), ERROR);
  EXPECT_TRUE(signal.needs_response());
  EXPECT_EQ(signal.thread(), "disk");
  EXPECT_EQ(signal.labels(0).value(), "infra");
  EXPECT_EQ(signal.expires_ms(), signal.created_ms() + 600'000);
  Incident incident;
  ASSERT_TRUE(incident.ParseFromString(signal.payload()));
  EXPECT_EQ(incident.title(), "disk 95%");
  EXPECT_EQ(incident.body(), "it **fills** up");
  EXPECT_EQ(incident.host(), "robo-1");
  EXPECT_EQ(incident.fields(0).name(), "mount");
}

TEST(Publish, PrintsJsonForScripts) {
  test::StartedBroker broker;
  const Invoked done = invoke({"publish", "a.b", "x", "--broker", broker.endpoint(), "--json"});
  EXPECT_THAT(done.out, MatchesRegex("\\{\"id\":\"[0-9A-Z]{26}\",\"durability\":\"JOURNALED\"\\}\n"));
}

TEST(Publish, FailsInOneLineWithoutABroker) {
  std::string endpoint;
  { endpoint = ScriptedBroker().endpoint(); }
  const Invoked done = invoke({"publish", "a.b", "x", "--broker", endpoint, "--deadline", "200ms"});
  EXPECT_EQ(done.exit, 1);
  EXPECT_EQ(done.err, "detent publish: no broker answers at " + endpoint + ": is detent-broker running?\n");
  EXPECT_THAT(done.out, IsEmpty());
}

TEST(Publish, SaysWhyTheBrokerRefused) {
  test::StartedBroker broker;
  const auto publish = [&](const std::string& title) {
    return invoke({"publish", "a.b", title, "--id", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--broker", broker.endpoint()});
  };
  ASSERT_EQ(publish("one").exit, 0);
  const Invoked done = publish("another");
  EXPECT_EQ(done.exit, 1);
  EXPECT_EQ(done.err,
            "detent publish: the broker refused the signal: id 01ARZ3NDEKTSV4RRFFQ69G5FAV was used before for other "
            "content\n");
}

TEST(Publish, RefusesWrongUsageWithoutAskingAnyone) {
  const auto wrong = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"publish"});
    const Invoked done = invoke(arguments);
    EXPECT_EQ(done.exit, 2);
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
    return done.err;
  };
  EXPECT_THAT(wrong({}), HasSubstr("TYPE is required"));
  EXPECT_THAT(wrong({"a.b"}), HasSubstr("TITLE is required"));
  EXPECT_THAT(wrong({"a.b", "x", "--severity", "loud"}), HasSubstr("--severity is one of"));
  EXPECT_THAT(wrong({"a.b", "x", "--field", "novalue"}), HasSubstr("--field wants NAME=VALUE"));
  EXPECT_THAT(wrong({"a.b", "x", "--expires", "soon"}), HasSubstr("--expires wants a duration"));
  EXPECT_THAT(wrong({"a.b", "x", "--id", "7"}), HasSubstr("--id wants a ULID"));
  EXPECT_THAT(wrong({"a.b", "x", "--id", "00000000000000000000000000"}), HasSubstr("--id"));
  EXPECT_THAT(wrong({"--bogus"}), HasSubstr("--bogus"));
  for (const std::string place : {"foo", "tcp://", "tcp://host", "tcp://host:99999", "ipc://", "udp://host:1", ""}) {
    EXPECT_THAT(wrong({"a.b", "x", "--broker", place}), HasSubstr("--broker"));
  }
  EXPECT_THAT(wrong({"A B", "x"}), HasSubstr("not lower-case words joined by dots"));
  EXPECT_THAT(wrong({"a.b", std::string(600, 'x')}), HasSubstr("over the limit of 512"));
  EXPECT_THAT(wrong({"a.b", "x", "--colour"}), HasSubstr("--colour"));
}

TEST(Publish, MasksSecretsBeforeAnythingIsSent) {
  Folder folder;
  ScriptedBroker broker;
  const std::string config = folder.write("detent.toml", "[redact]\npatterns = [\"corp-[0-9]+\"]\n");
  const std::string token = "ghp_" + std::string(36, 'Q');
  const Invoked done = invoke(
      {"--config", config, "publish", "a.b", "uses " + token, "--body", "corp-123456", "--broker", broker.endpoint()});
  ASSERT_EQ(done.exit, 0) << done.err;
  EXPECT_THAT(broker.published()[0], Not(HasSubstr(token)));
  EXPECT_THAT(broker.published()[0], Not(HasSubstr("corp-123456")));
}

TEST(Run, PublishesHowItWentAndKeepsTheExitCode) {
  test::StartedBroker broker;
  const Invoked done = invoke({"run", "--name", "backup", "--broker", broker.endpoint(), "--", "sh", "-c", "exit 3"});
  EXPECT_EQ(done.exit, 3);
  const Signal signal = only_signal(broker);
  EXPECT_EQ(signal.type(), "cron.output");
  EXPECT_EQ(signal.severity(), ERROR);
  CronOutput payload;
  ASSERT_TRUE(payload.ParseFromString(signal.payload()));
  EXPECT_EQ(payload.exit_code(), 3);
  EXPECT_EQ(payload.job(), "backup");
  EXPECT_EQ(payload.command(), "sh -c exit 3");
  EXPECT_THAT(payload.title(), HasSubstr("backup failed with exit code 3"));
}

TEST(Run, PublishesOnlyFailuresWhereAskedTo) {
  test::StartedBroker broker;
  EXPECT_EQ(invoke({"run", "--only-failures", "--broker", broker.endpoint(), "--", "true"}).exit, 0);
  EXPECT_THAT(broker.published(), IsEmpty());
  EXPECT_EQ(invoke({"run", "--only-failures", "--broker", broker.endpoint(), "--", "false"}).exit, 1);
  EXPECT_THAT(broker.published(), SizeIs(1));
}

TEST(Run, KeepsTheExitCodeWithoutABroker) {
  std::string endpoint;
  { endpoint = ScriptedBroker().endpoint(); }
  const Invoked done = invoke({"run", "--broker", endpoint, "--deadline", "100ms", "--", "true"});
  EXPECT_EQ(done.exit, 0);
  EXPECT_THAT(done.err, HasSubstr("the outcome was not published: no broker answers"));
}

TEST(Run, TellsThatACommandCouldNotBeStarted) {
  test::StartedBroker broker;
  const Invoked done = invoke({"run", "--broker", broker.endpoint(), "--", "/nonexistent/command"});
  EXPECT_EQ(done.exit, 127);
  EXPECT_THAT(done.err, HasSubstr("/nonexistent/command: No such file or directory"));
  CronOutput payload;
  ASSERT_TRUE(payload.ParseFromString(only_signal(broker).payload()));
  EXPECT_THAT(payload.title(), HasSubstr("could not be started"));
}

TEST(Run, SaysThatTheOutputIsLostAndKeepsTheExitCode) {
  test::StartedBroker broker;
  const int before = dup(STDOUT_FILENO), full = open("/dev/full", O_WRONLY);
  dup2(full, STDOUT_FILENO);
  const Invoked done = invoke({"run", "--broker", broker.endpoint(), "--", "sh", "-c", "echo hi; exit 3"});
  dup2(before, STDOUT_FILENO);
  close(before), close(full);
  EXPECT_EQ(done.exit, 3);
  EXPECT_EQ(done.err, "detent run: its output could not be passed on: No space left on device\n");
  EXPECT_THAT(broker.published(), SizeIs(1));
}

TEST(Run, PublishesUnderAnyName) {
  for (const std::string& name : {std::string("a\xff"
                                              "b"),
                                  std::string(2000, 'n'), std::string("two\nlines")}) {
    test::StartedBroker broker;
    const Invoked done = invoke({"run", "--name", name, "--broker", broker.endpoint(), "--", "false"});
    EXPECT_EQ(done.exit, 1);
    EXPECT_EQ(done.err, "");
    CronOutput payload;
    ASSERT_TRUE(payload.ParseFromString(only_signal(broker).payload()));
    EXPECT_THAT(payload.title(), HasSubstr("failed with exit code 1"));
  }
}

TEST(Run, PublishesACommandWhoseNameIsNotUtf8) {
  test::StartedBroker broker;
  const Folder folder;
  const std::string command = (folder.path / "caf\xe9").string();
  std::filesystem::create_symlink("/bin/false", command);
  const Invoked done = invoke({"run", "--broker", broker.endpoint(), "--", command});
  EXPECT_EQ(done.exit, 1);
  EXPECT_EQ(done.err, "");
  EXPECT_THAT(broker.published(), SizeIs(1));
}

TEST(Run, RefusesWhatCannotBePublishedBeforeItRunsTheCommand) {
  const Folder folder;
  const std::string mark = (folder.path / "ran").string();
  for (const auto& [option, value] : {std::pair{"--type", "BAD"}, std::pair{"--source", "s\xff"}}) {
    const Invoked done = invoke({"run", option, value, "--", "touch", mark});
    EXPECT_EQ(done.exit, 2);
    EXPECT_THAT(done.err, HasSubstr("not a good signal"));
    EXPECT_FALSE(std::filesystem::exists(mark));
  }
}

TEST(Run, WantsACommand) {
  const Invoked done = invoke({"run", "--name", "x"});
  EXPECT_EQ(done.exit, 2);
  EXPECT_THAT(done.err, HasSubstr("say what to run"));
}

}  // namespace detent
