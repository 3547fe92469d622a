// A worker made, looked at and destroyed by the programs themselves: DigitalOcean is the sandbox's, the droplet a real
// sshd.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/house/house.h"
#include "tests/house/machine.h"
#include "tests/support/paths.h"
#include "tests/support/request_check.h"

namespace detent::house {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kGithubToken = "github_pat_of_this_test_0123456789";

class Provisioning : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "worker-setup makes a machine's worker as root, and this is not root";
    house_ = std::make_unique<House>();
    machine_ = std::make_unique<Machine>(house_->folder());
    house_->rewrite_config([&](Plan& plan) { plan.digitalocean = "ssh_key = \"" + machine_->key().string() + "\""; });
    house_->control("POST", "digitalocean", R"({"active_after": 0.5})");
    run({"git", "init", "-q", "--bare", (house_->folder() / "hub.git").string()});
    house_->write(house_->folder() / "pawl-github.env",
                  "GITHUB_TOKEN=" + std::string(kGithubToken) +
                      "\nGITHUB_USER=pawl\nGITHUB_EMAIL=pawl@example.org\nGITHUB_REPO=file://" +
                      (house_->folder() / "hub.git").string() + "\n");
  }

  std::vector<std::string> on_machine(std::vector<std::string> command) const {
    for (const std::string& one : {std::string("--ssh-port"), std::to_string(machine_->port()), std::string("--prefix"),
                                   machine_->root().string()})
      command.push_back(one);
    return command;
  }
  Ended provision(std::vector<std::string> more = {"--yes"}) {
    std::vector<std::string> command{"worker", "provision", "--skip-packages", "--broker", "tcp://10.0.0.1:7400"};
    command.insert(command.end(), more.begin(), more.end());
    return house_->detent(on_machine(command));
  }
  json::array droplets() {
    const json::value state = house_->control("GET", "digitalocean");
    return state.at("droplets").as_array();
  }
  size_t sent(std::string_view method) const {
    size_t count = 0;
    for (const json::object& request : house_->requests()) count += request.at("method") == json::string(method);
    return count;
  }
  static unsigned mode(const fs::path& file) {
    struct stat about {};
    return stat(file.c_str(), &about) == 0 ? about.st_mode & 0777 : 0;
  }

  std::unique_ptr<House> house_;
  std::unique_ptr<Machine> machine_;
};

TEST_F(Provisioning, MakesOneWorkerAndASecondRunChangesNothing) {
  const fs::path package = house_->folder() / "worker.tar.gz";
  const Ended packed = run({(test::source_folder() / "script/package-worker").string(), "--from",
                            test::program_folder().string(), "--out", package.string(), "detent"},
                           {}, Millis(300'000));
  ASSERT_EQ(packed.code, 0) << packed.output;

  const Ended made =
      provision({"--yes", "--package", package.string(), "--secret", "model=" + house_->discord_token().string()});
  ASSERT_EQ(made.code, 0) << made.output;
  EXPECT_THAT(made.output, AllOf(HasSubstr("$12.00/month"), HasSubstr("waiting for the droplet to be active"),
                                 HasSubstr("cloud-init ended"), HasSubstr("pawl-worker-1 is ready"),
                                 HasSubstr("systemctl enable --now openclaw-worker")));
  EXPECT_THAT(made.output, Not(HasSubstr(kGithubToken)));
  ASSERT_EQ(droplets().size(), 1u);
  EXPECT_EQ(droplets()[0].at("name"), "pawl-worker-1");
  EXPECT_EQ(droplets()[0].at("size_slug"), "s-1vcpu-2gb");

  const fs::path root = machine_->root();
  EXPECT_EQ(run({(root / "usr/local/bin/detent").string(), "--version"}).code, 0);
  EXPECT_THAT(machine_->read("etc/detent/worker.env"), HasSubstr("ROLE=worker"));
  EXPECT_THAT(machine_->read("etc/detent/detent.toml"), HasSubstr("name = \"pawl-worker-1\""));
  EXPECT_THAT(machine_->read("etc/systemd/system/openclaw-worker.service"), HasSubstr("Delegate=yes"));
  EXPECT_THAT(machine_->read("etc/cron.d/openclaw-worker"), HasSubstr("heartbeat.ok"));
  EXPECT_THAT(machine_->asked_of_systemd(), Not(HasSubstr("start")));

  const Ended again =
      provision({"--yes", "--package", package.string(), "--secret", "model=" + house_->discord_token().string()});
  ASSERT_EQ(again.code, 0) << again.output;
  EXPECT_THAT(again.output, AllOf(HasSubstr("nothing changed"), Not(HasSubstr("changed: "))));
  EXPECT_EQ(droplets().size(), 1u);
  EXPECT_EQ(sent("POST"), 2u) << "one key, one droplet";
}

TEST_F(Provisioning, KeepsEverySecretInAFileOfItsOwn) {
  const Ended made = provision({"--yes", "--secret", "model=" + house_->discord_token().string()});
  ASSERT_EQ(made.code, 0) << made.output;
  const fs::path etc = machine_->root() / "etc/detent";
  for (const char* file : {"pawl-github.env", "git-credentials", "secrets/model"})
    EXPECT_EQ(mode(etc / file), 0600u) << file;
  EXPECT_THAT(machine_->read("etc/detent/git-credentials"), HasSubstr(kGithubToken));
  EXPECT_EQ(machine_->read("etc/detent/secrets/model"), House::kDiscordToken);
  EXPECT_THAT(machine_->read("var/lib/detent/workspace/.git/config"),
              AllOf(HasSubstr("hub.git"), Not(HasSubstr(kGithubToken))));
  EXPECT_THAT(machine_->read("var/lib/detent/.gitconfig"),
              AllOf(HasSubstr("pawl@example.org"), Not(HasSubstr(kGithubToken))));
  const std::string user_data(droplets()[0].at("sandbox").at("user_data").as_string());
  EXPECT_THAT(user_data, AllOf(HasSubstr("first-boot"), Not(HasSubstr("token")), Not(HasSubstr("github_pat"))));
  for (const json::object& request : house_->requests()) {
    const std::string all = json::serialize(request);
    EXPECT_THAT(all, AllOf(Not(HasSubstr(kGithubToken)), Not(HasSubstr(House::kDiscordToken)),
                           Not(HasSubstr(House::kDigitalOceanToken))));
  }
}

TEST_F(Provisioning, ADryRunPrintsEveryRequestAndChangesNothing) {
  const Ended shown = provision({"--dry-run"});
  ASSERT_EQ(shown.code, 0) << shown.output;
  EXPECT_THAT(shown.output,
              AllOf(HasSubstr("GET /v2/account"), HasSubstr("POST /v2/account/keys"), HasSubstr("POST /v2/droplets"),
                    HasSubstr("ubuntu-24-04-x64"), HasSubstr("worker-setup.sh"), HasSubstr("nothing was changed")));
  EXPECT_THAT(shown.output, AllOf(Not(HasSubstr(House::kDigitalOceanToken)), Not(HasSubstr(kGithubToken))));
  EXPECT_EQ(sent("POST") + sent("DELETE"), 0u);
  EXPECT_TRUE(droplets().empty());
  EXPECT_FALSE(fs::exists(house_->state() / "workers"));
  EXPECT_TRUE(fs::is_empty(machine_->root()));
}

TEST_F(Provisioning, ACreateWithoutAnAnswerIsNotAskedForTwice) {
  house_->control("POST", "digitalocean", R"({"active_after": 0.5, "hidden_for": 3})");
  house_->fault(
      {{"service", "digitalocean"}, {"kind", "accept-then-reset"}, {"channel", "droplets"}, {"method", "POST"}});
  const Ended made = provision();
  ASSERT_EQ(made.code, 0) << made.output;
  EXPECT_THAT(made.output, AllOf(HasSubstr("whether it was made all the same"), HasSubstr("is ready")));
  EXPECT_EQ(droplets().size(), 1u);
}

TEST_F(Provisioning, WhatAlreadyStandsTwiceIsShownAndLeftAlone) {
  for (int i = 0; i < 2; ++i) {
    http::KeepAliveClient client;
    http::Request request{.method = "POST", .url = house_->sandbox_url() + "/digitalocean/v2/droplets"};
    request.headers = {{"Authorization", "Bearer t"}, {"Content-Type", "application/json"}};
    request.body =
        R"({"name":"pawl-worker-1","size":"s-1vcpu-2gb","image":"ubuntu-24-04-x64","tags":["detent-worker"]})";
    ASSERT_EQ(client.send(request)->status, 202);
  }
  const Ended refused = provision();
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.output, HasSubstr("2 droplets are called pawl-worker-1"));
  EXPECT_EQ(droplets().size(), 2u);
  EXPECT_EQ(sent("POST"), 2u) << "those of the test";
}

TEST_F(Provisioning, SaysWhatIsWrongBeforeItChangesAnything) {
  house_->write(house_->digitalocean_token(), "dop_v1_bad");
  const Ended refused = provision();
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.output, HasSubstr("is the token valid?"));
  EXPECT_EQ(provision({"--yes", "--name", "pawl_worker"}).code, 2);
  const Ended no_key = provision({"--yes", "--ssh-key", "/nonexistent/key"});
  EXPECT_THAT(no_key.output, HasSubstr("there is no SSH key /nonexistent/key"));
  house_->write(house_->folder() / "pawl-github.env", "GITHUB_TOKEN=" + std::string(kGithubToken) + "\n");
  const Ended half = provision();
  EXPECT_THAT(half.output, AllOf(HasSubstr("GITHUB_EMAIL is missing"), Not(HasSubstr(kGithubToken))));
  EXPECT_EQ(sent("POST"), 0u);
}

TEST_F(Provisioning, AsksBeforeItCosts) {
  const Ended asked = provision({});
  EXPECT_EQ(asked.code, 1);
  EXPECT_THAT(asked.output,
              AllOf(HasSubstr("for $12.00/month"), HasSubstr("go on? [y/N]"), HasSubstr("nobody answered")));
  EXPECT_EQ(sent("POST"), 0u);
}

TEST_F(Provisioning, TakesASnapshotOfTheMainDropletFirst) {
  ASSERT_EQ(provision().code, 0);
  const Ended second = provision({"--yes", "--name", "pawl-worker-2", "--snapshot-first", "pawl-worker-1"});
  ASSERT_EQ(second.code, 0) << second.output;
  EXPECT_THAT(second.output, HasSubstr("a snapshot of pawl-worker-1 will be taken first"));
  size_t snapshots = 0, creates = 0;
  for (const json::object& request : house_->requests()) {
    if (request.at("method") != "POST") continue;
    if (request.at("path").as_string().ends_with("/actions")) {
      ++snapshots;
      EXPECT_EQ(creates, 1u) << "before the second droplet is made";
    }
    creates += request.at("path") == "/v2/droplets";
  }
  EXPECT_EQ(snapshots, 1u);
  EXPECT_EQ(creates, 2u);
}

TEST_F(Provisioning, StatusTellsHealthyFromNot) {
  ASSERT_EQ(provision().code, 0);
  const Ended idle = house_->detent(on_machine({"worker", "status", "--json"}));
  EXPECT_EQ(idle.code, 1) << "its service is not started yet";
  EXPECT_THAT(idle.output, HasSubstr("openclaw-worker is inactive, disabled"));

  machine_->set_service("active");
  const Ended well = house_->detent(on_machine({"worker", "status", "--json"}));
  EXPECT_EQ(well.code, 0) << well.output;
  const json::value said = json::parse(well.output);
  EXPECT_EQ(said.at("healthy"), true);
  EXPECT_THAT(well.output, AllOf(HasSubstr("openclaw of a test"), HasSubstr("detent publish heartbeat.ok"),
                                 HasSubstr("active 510000001")));

  machine_->stop();
  const Ended gone = house_->detent(on_machine({"worker", "status"}));
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.output,
              AllOf(HasSubstr("no ssh connection to root@127.0.0.1"), HasSubstr("pawl-worker-1 is not healthy")));
}

TEST_F(Provisioning, AnotherHostKeyIsAnotherMachine) {
  ASSERT_EQ(provision().code, 0);
  machine_->change_host_key();
  const Ended refused = provision();
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.output, HasSubstr("does not have the host key that it had when it was made"));
}

TEST_F(Provisioning, DestroyDrainsFirstAndTouchesOnlyItsOwn) {
  EXPECT_THAT(house_->detent(on_machine({"worker", "destroy", "--yes"})).output, HasSubstr("nothing to destroy"));
  ASSERT_EQ(provision().code, 0);
  machine_->set_service("active");
  EXPECT_EQ(house_->detent(on_machine({"worker", "destroy"})).code, 1) << "nobody confirmed";
  EXPECT_EQ(droplets().size(), 1u);
  const Ended gone = house_->detent(on_machine({"worker", "destroy", "--yes"}));
  ASSERT_EQ(gone.code, 0) << gone.output;
  EXPECT_THAT(gone.output, AllOf(HasSubstr("drained"), HasSubstr("pawl-worker-1 is destroyed")));
  EXPECT_THAT(machine_->asked_of_systemd(), HasSubstr("stop openclaw-worker"));
  EXPECT_TRUE(droplets().empty());
}

TEST_F(Provisioning, SendsOnlyWhatTheDocumentAllows) {
  ASSERT_EQ(provision().code, 0);
  ASSERT_EQ(house_->detent(on_machine({"worker", "destroy", "--yes"})).code, 0);
  size_t count = 0;
  EXPECT_THAT(requests::check_record(house_->record(), count), testing::IsEmpty());
  EXPECT_GE(count, 10u);
}

TEST_F(Provisioning, ProgramsOfOtherNamesAreItsCommands) {
  const Ended help = run({(test::program_folder() / "provision-worker").string(), "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.output, HasSubstr("--snapshot-first"));
  EXPECT_THAT(run({(test::program_folder() / "worker-status").string(), "--help"}).output,
              HasSubstr("0 healthy, 1 not"));
}

}  // namespace
}  // namespace detent::house
