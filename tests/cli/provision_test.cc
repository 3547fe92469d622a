// What provisioning decides and says, without a network: the plan, the API's client over answers of the test's own, a
// worker's health.
#include <gmock/gmock.h>

#include <deque>
#include <sstream>

#include "cli/provision/api.h"
#include "cli/provision/health.h"
#include "cli/provision/plan.h"
#include "cli/provision/ssh.h"
#include "cli/provision/state.h"
#include "cli/provision/texts.h"
#include "tests/cli/invoke.h"

namespace detent::provision {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Order kOrder{.name = "pawl-worker-1",
                   .region = "nyc3",
                   .size = "s-1vcpu-2gb",
                   .image = "ubuntu-24-04-x64",
                   .tag = "detent-worker"};

Droplet droplet(std::int64_t id, std::string name, std::vector<std::string> tags = {"detent-worker"}) {
  return {.id = id, .name = std::move(name), .status = "active", .tags = std::move(tags)};
}

TEST(Plan, RefusesWhatDigitalOceanWouldRefuse) {
  EXPECT_TRUE(check_order(kOrder));
  for (const char* name : {"", "pawl_worker", "pawl-", "-pawl", "a b", "x\ny"}) {
    Order order = kOrder;
    order.name = name;
    EXPECT_FALSE(check_order(order)) << name;
  }
  Order order = kOrder;
  order.tag = "a tag";
  EXPECT_THAT(check_order(order).error().what, HasSubstr("is no tag"));
  order = kOrder;
  order.size = "s-1vcpu;2gb";
  EXPECT_THAT(check_order(order).error().what, HasSubstr("is no size"));
}

TEST(Plan, AsksForTheDropletWithItsKeyItsTagAndNothingSecret) {
  const json::object body = create_request(kOrder, 41);
  EXPECT_EQ(body.at("ssh_keys"), json::array{41});
  EXPECT_EQ(body.at("tags"), json::array{"detent-worker"});
  EXPECT_THAT(std::string(body.at("user_data").as_string()), HasSubstr(std::string(kFirstBootMarker)));
}

TEST(Plan, NeverMakesASecondOfTheSameName) {
  using Kind = Standing::Kind;
  EXPECT_EQ(standing_of(kOrder, {}, {}).kind, Kind::kNone);
  EXPECT_EQ(standing_of(kOrder, {}, {droplet(1, "pawl-worker-2")}).kind, Kind::kNone);
  EXPECT_EQ(standing_of(kOrder, {droplet(1, "pawl-worker-1")}, {droplet(1, "pawl-worker-1")}).kind, Kind::kOne);
  EXPECT_EQ(standing_of(kOrder, {}, {droplet(1, "PAWL-worker-1")}).kind, Kind::kOne)
      << "one list may be behind the other";
  const Standing several = standing_of(kOrder, {droplet(1, "pawl-worker-1")}, {droplet(2, "pawl-worker-1")});
  EXPECT_EQ(several.kind, Kind::kSeveral);
  EXPECT_EQ(several.found.size(), 2u);
  EXPECT_EQ(standing_of(kOrder, {droplet(1, "pawl-worker-1", {"web"})}, {}).kind, Kind::kForeign);
}

TEST(Plan, TellsThePriceOrThatItIsNotKnown) {
  EXPECT_EQ(price_text("s-1vcpu-2gb"), "$12.00/month");
  EXPECT_THAT(price_text("c-48"), HasSubstr("not known"));
}

TEST(Plan, FindsTheKeyByItsBytes) {
  const std::vector<AccountKey> keys{{1, "a", "ssh-ed25519 AAAA one"}, {2, "b", "ssh-ed25519 BBBB"}};
  ASSERT_TRUE(find_key(keys, "ssh-ed25519 BBBB me@here"));
  EXPECT_EQ(find_key(keys, "ssh-ed25519 BBBB me@here")->id, 2);
  EXPECT_FALSE(find_key(keys, "ssh-ed25519 BBB me@here"));
}

TEST(Plan, TakesAGithubEnvAsTextAndNeverTellsItsValues) {
  EXPECT_TRUE(check_github_env(
      "# mine\nexport GITHUB_TOKEN='ghp_x'\r\nGITHUB_USER=pawl\nGITHUB_EMAIL=a@b.c\nGITHUB_REPO=\"o/r\"\n"));
  EXPECT_EQ(check_github_env("GITHUB_TOKEN=t\nGITHUB_USER=u\nGITHUB_REPO=o/r\n").error().what,
            "GITHUB_EMAIL is missing");
  for (const char* bad : {"GITHUB_TOKEN=$(secret)\n", "GITHUB_TOKEN=a b'c\n", "secret\n", "GITHUB_TOKEN=se:cret\n"}) {
    const auto refused = check_github_env(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().what, Not(HasSubstr("secret")));
  }
}

TEST(Plan, ListsTheJobsOfACrontab) {
  const auto jobs = jobs_of("# m h\nMAILTO=me\nPATH = /bin\n\n0 7 * * * /root/weekly.sh --as=x\n@daily backup\n");
  EXPECT_THAT(jobs, ElementsAre("0 7 * * * /root/weekly.sh --as=x", "@daily backup"));
  EXPECT_THAT(migration_checklist("w", jobs), HasSubstr("[ ] @daily backup"));
  EXPECT_THAT(migration_checklist("w", {}), HasSubstr("No cron jobs"));
}

TEST(Plan, AWordForAShellStaysOneWord) {
  EXPECT_EQ(shell_word("tcp://10.0.0.1:7410"), "tcp://10.0.0.1:7410");
  EXPECT_EQ(shell_word("it's; rm"), "'it'\\''s; rm'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(SshCommand, AcceptsAHostsKeyOnceAndIsPinnedToItAfterwards) {
  const SshTarget target{
      .address = "203.0.113.7", .port = 2222, .key = "/k", .known_hosts = "/s/known hosts", .alias = "droplet-5"};
  const auto first = ssh_command(target, "true", false), later = ssh_command(target, "true", true);
  EXPECT_THAT(
      first, testing::IsSupersetOf({"-oStrictHostKeyChecking=accept-new", "-oBatchMode=yes", "-oHostKeyAlias=droplet-5",
                                    "-oUserKnownHostsFile=\"/s/known hosts\"", "root@203.0.113.7"}));
  EXPECT_THAT(later, testing::Contains("-oStrictHostKeyChecking=yes"));
  Folder folder;
  const std::string file = folder.write("known_hosts", "droplet-5 ssh-ed25519 AAAA\n");
  EXPECT_TRUE(is_pinned(file, "droplet-5"));
  EXPECT_FALSE(is_pinned(file, "droplet-50"));
  EXPECT_FALSE(is_pinned(file + ".none", "droplet-5"));
}

TEST(WorkerFiles, AreOneProcessesAtATimeAndRemember) {
  Folder folder;
  {
    const WorkerFiles files(folder.path, "w");
    EXPECT_EQ(files.read().asked, Millis(0));
    files.write({.droplet = 5, .action = 6, .asked = Millis(7)});
    EXPECT_EQ(files.read().droplet, 5);
    EXPECT_THROW(WorkerFiles(folder.path, "w"), Failure);
    EXPECT_NO_THROW(WorkerFiles(folder.path, "other"));
  }
  EXPECT_EQ(WorkerFiles(folder.path, "w").read().asked, Millis(7));
  folder.write("workers/w.json", "{\"droplet\": 5");
  EXPECT_THROW(WorkerFiles(folder.path, "w").read(), Failure);
}

/// Time that passes when it is waited for.
class TestTime final : public Time {
 public:
  Now now() override { return {passed, passed}; }
  void pass(Millis span) override { passed += span; }
  Millis passed{1'000'000};
};

TEST(WaitFor, SaysWhatItWaitsForAndGivesUpInTime) {
  TestTime time;
  std::ostringstream out;
  int looked = 0;
  const auto there = wait_for("ssh", {.longest = Millis(60'000), .between = Millis(5'000)}, time, out,
                              [&]() -> Result<std::optional<std::string>> {
                                return ++looked == 6 ? std::optional<std::string>("x") : std::nullopt;
                              });
  EXPECT_EQ(*there, "x");
  EXPECT_EQ(out.str(), "  waiting for ssh\n  still waiting for ssh (15 s)\n  ssh: there after 25 s\n");
  const auto never = wait_for("ssh", {.longest = Millis(60'000), .between = Millis(5'000)}, time, out,
                              []() -> Result<std::optional<std::string>> { return std::optional<std::string>(); });
  EXPECT_EQ(never.error().what, "ssh: not there after 60 s");
  EXPECT_EQ(never.error().code, ETIMEDOUT);
}

/// Answers in order, whatever is asked.
class ScriptedClient final : public http::HttpClient {
 public:
  std::deque<http::Answer> answers;
  std::vector<http::Request> asked;
  http::Answer send(const http::Request& request) override {
    asked.push_back(request);
    if (answers.empty()) return http::SendFailure{Error{"nothing more is scripted"}, http::Sent::No, true};
    http::Answer answer = answers.front();
    answers.pop_front();
    return answer;
  }
};

class ApiTest : public testing::Test {
 protected:
  ScriptedClient client;
  TestTime time;
  Api api{client, time, {.base = "https://api.example.org/v2", .token = "dop_v1_secret"}};
};

TEST_F(ApiTest, ReadsAllPages) {
  client.answers = {
      http::Response{200, {}, R"({"ssh_keys":[{"id":1}],"links":{"pages":{"next":"https://elsewhere/?page=2"}}})"},
      http::Response{200, {}, R"({"ssh_keys":[{"id":2}],"links":{}})"}};
  ASSERT_EQ(api.keys()->size(), 2u);
  EXPECT_EQ(client.asked[1].url, "https://api.example.org/v2/account/keys?per_page=200&page=2")
      << "the token goes nowhere else";
}

TEST_F(ApiTest, ARead429WaitsAsLongAsItIsTold) {
  client.answers = {http::Response{429, {{"retry-after", "7"}}, "{}"},
                    http::Response{200, {}, R"({"account":{"status":"active"}})"}};
  const Millis before = time.passed;
  EXPECT_EQ(*api.account_status(), "active");
  EXPECT_EQ(time.passed - before, Millis(7'000));
}

TEST_F(ApiTest, AReadIsRepeatedAndAChangeIsNot) {
  const http::SendFailure reset{Error{"reset"}, http::Sent::Maybe};
  client.answers = {reset, http::Response{502, {}, "<html>"},
                    http::Response{200, {}, R"({"account":{"status":"active"}})"}};
  EXPECT_EQ(*api.account_status(), "active");
  client.answers = {reset};
  const auto created = api.create({{"name", "x"}});
  ASSERT_FALSE(created);
  EXPECT_TRUE(created.error().maybe);
  EXPECT_EQ(client.asked.size(), 4u);
  client.answers = {http::Response{503, {}, "<html>"}};
  EXPECT_TRUE(api.create({{"name", "x"}}).error().maybe);
  client.answers = {http::Response{422, {}, R"({"id":"unprocessable_entity","message":"no"})"}};
  const auto refused = api.create({{"name", "x"}});
  EXPECT_FALSE(refused.error().maybe);
  EXPECT_EQ(refused.error().error.what, "DigitalOcean refused POST /v2/droplets: HTTP 422: no");
}

TEST_F(ApiTest, ACreateTellsTheActionThatMakesIt) {
  client.answers = {http::Response{202, {}, R"({"droplet":{"id":5,"name":"x","status":"new","networks":{"v4":[]}},
      "links":{"actions":[{"id":9,"rel":"create","href":"x"}]}})"}};
  const auto made = api.create({{"name", "x"}});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->droplet.id, 5);
  EXPECT_EQ(made->action, 9);
  EXPECT_EQ(http::find_header(client.asked[0].headers, "Authorization")->substr(0, 7), "Bearer ");
}

TEST_F(ApiTest, WhatIsGoneIsDestroyed) {
  client.answers = {http::Response{204, {}, ""}, http::Response{404, {}, R"({"id":"not_found","message":"x"})"}};
  EXPECT_TRUE(api.destroy(5));
  EXPECT_TRUE(api.destroy(5));
}

TEST(Health, ReadsTheReport) {
  const auto report = parse_report("node=v24.21.0\ncron=a=b\ncron=c\nopenclaw=\nnonsense\n");
  EXPECT_EQ(report.at("node").front(), "v24.21.0");
  EXPECT_THAT(report.at("cron"), ElementsAre("a=b", "c"));
  EXPECT_FALSE(report.contains("openclaw"));
}

TEST(Health, TakesTheLatestTimeOfTheWorkersOwnSection) {
  constexpr const char* kText =
      "# Heartbeats\n\n## worker-10\n- at: 2026-11-28T21:00:00Z\n\n## worker-1\r\nup since 2026-11-20T00:00:00Z\n"
      "- at: 2026-11-28T20:00:00.123Z\n## other\n2026-11-28T23:00:00Z\n";
  EXPECT_EQ(utc(*heartbeat_in(kText, "worker-1")), "2026-11-28T20:00:00Z");
  EXPECT_THAT(heartbeat_in(kText, "worker-2").error().what, HasSubstr("no section of worker-2"));
  EXPECT_FALSE(heartbeat_in("## w\n2026-13-28T20:00:00Z 20\n", "w"));
}

TEST(Health, IsGoodOnlyWhereNothingIsBad) {
  Sight sight;
  EXPECT_FALSE(is_healthy(judge(sight, Millis(0)))) << "nothing was seen";
  sight.droplet = Result<Droplet>(droplet(5, "w"));
  sight.report = Result<std::map<std::string, std::vector<std::string>>>(
      parse_report("setup=complete\ndetent-worker=1\nnode=v24\nopenclaw=1\ngit=2\npython3=3\nservice=active\ndisk-"
                   "available=9000000\n"));
  EXPECT_TRUE(is_healthy(judge(sight, Millis(0))));
  sight.heartbeat = Result<Millis>(Millis(0));
  EXPECT_TRUE(is_healthy(judge(sight, std::chrono::minutes(15))));
  EXPECT_FALSE(is_healthy(judge(sight, std::chrono::minutes(16)))) << "silent for too long";
  sight.heartbeat.reset();
  sight.report = Result<std::map<std::string, std::vector<std::string>>>(Error{"no ssh"});
  EXPECT_FALSE(is_healthy(judge(sight, Millis(0))));
  EXPECT_EQ(health_json("w", judge(sight, Millis(0))).at("healthy"), false);
}

TEST(ProgramNames, StandForCommands) {
  EXPECT_THAT(command_behind("/usr/bin/provision-worker"), ElementsAre("worker", "provision"));
  EXPECT_THAT(command_behind("worker-status"), ElementsAre("worker", "status"));
  EXPECT_THAT(command_behind("/opt/worker-status/detent"), IsEmpty());
}

TEST(Texts, AreTheFilesOfDeploy) {
  EXPECT_THAT(std::string(worker_setup()), testing::StartsWith("#!/usr/bin/env bash\n"));
  EXPECT_THAT(std::string(worker_report()), testing::EndsWith("exit 0\n"));
  EXPECT_THAT(std::string(openclaw_worker()), HasSubstr("Delegate=yes"));
}

}  // namespace
}  // namespace detent::provision
