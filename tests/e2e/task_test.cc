// A task from the command line to a worker and back to where a person sees its result, through the death of each on the
// way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/house/house.h"
#include "tests/support/eventually.h"

namespace detent::house {

namespace {

using testing::HasSubstr;

class Tasks : public testing::Test {
 protected:
  static Plan plan() {
    Plan plan;
    plan.more = R"toml(
[runner.echo]
command = ["sh", "-c", "echo asked for: $(cat)"]
[runner.fails]
command = ["sh", "-c", "echo so far so good; exit 3"]
[runner.wants]
command = ["sh", "-c", "read -r file; if [ ! -e $file ]; then exit 4; fi; echo found it"]
[runner.waits]
command = ["sh", "-c", "read -r file; while [ ! -e $file ]; do sleep 0.1; done; echo done"]
[[schedule]]
name = "yearly"
title = "The year"
cron = "0 0 1 1 *"
zone = "Asia/Tokyo"
runner = "echo"
prompt = "the year that ends"
[[schedule]]
name = "never"
cron = "@hourly"
enabled = false
runner = "echo"
prompt = "what is switched off"
)toml";
    return plan;
  }

  void start() {
    house.start_broker();
    house.start_dispatcher();
    house.start_worker();
    house.start_discord({"sub-agent-results"});
  }

  json::object show(const std::string& id) {
    const Ended ended = house.detent({"tasks", "show", id, "--json"});
    EXPECT_EQ(ended.code, 0) << ended.output;
    return json::parse(ended.output).as_object();
  }

  /// Submits without waiting; the task's id.
  std::string submit(const std::string& runner, const std::string& prompt) {
    const Ended ended = house.detent({"submit", runner, prompt, "--json"});
    EXPECT_EQ(ended.code, 0) << ended.output;
    return std::string(json::parse(ended.output).at("id").as_string());
  }

  bool reaches(const std::string& id, const std::string& state) {
    return eventually([&] {
      const Ended ended = house.detent({"tasks", "show", id, "--json"});
      return ended.code == 0 && json::parse(ended.output).at("state") == json::string(state);
    });
  }

  House house{plan()};
};

TEST_F(Tasks, AResultComesBackToWhoWaitsAndToItsChannel) {
  start();
  const Ended ended = house.detent({"submit", "echo", "# Weekly review\n\nof everything", "--wait"});
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("asked for: # Weekly review"));
  EXPECT_TRUE(eventually([&] { return House::count(house.discord("sub-agent-results"), "asked for: ") == 1; }));
  EXPECT_EQ(House::count(house.discord("sub-agent-results"), "Weekly review: done"), 1u);
}

TEST_F(Tasks, AFailureIsSaidWithItsReason) {
  start();
  const Ended ended = house.detent({"submit", "fails", "go wrong", "--wait"});
  EXPECT_EQ(ended.code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("exited with 3"));
  EXPECT_TRUE(eventually([&] { return House::count(house.discord("sub-agent-results"), "exited with 3") == 1; }));
}

TEST_F(Tasks, WhatIsSubmittedWhileNobodyRunsItIsRunOnceSomebodyDoes) {
  house.start_broker();
  const std::string id = submit("echo", "later");
  house.start_dispatcher();
  house.start_discord({"sub-agent-results"});
  EXPECT_TRUE(reaches(id, "queued"));
  house.start_worker();
  EXPECT_TRUE(reaches(id, "succeeded"));
}

TEST_F(Tasks, ADeathOfEachOnTheWayLosesAndDoublesNothing) {
  start();
  const auto go = house.folder() / "go";
  const std::string id = submit("waits", go.string());
  ASSERT_TRUE(reaches(id, "running"));
  house.kill("dispatcher");
  house.start_dispatcher();
  ASSERT_TRUE(reaches(id, "running"));
  house.kill("worker");
  house.start_worker();
  ASSERT_TRUE(eventually([&] { return show(id).at("attempts").as_int64() == 2; }));
  house.kill("broker");
  house.write(go, "");
  ASSERT_TRUE(reaches(id, "succeeded"));
  EXPECT_EQ(House::count(house.discord("sub-agent-results"), "done"), 0u) << "the broker is away";
  house.start_broker();
  EXPECT_TRUE(eventually([&] { return House::count(house.discord("sub-agent-results"), ": done") == 1; }));
  EXPECT_EQ(show(id).at("result"), json::string("done\n"));
}

TEST_F(Tasks, ACancelledTaskEnds) {
  start();
  const std::string id = submit("waits", (house.folder() / "never").string());
  ASSERT_TRUE(reaches(id, "running"));
  EXPECT_EQ(house.detent({"tasks", "cancel", id}).code, 0);
  EXPECT_TRUE(reaches(id, "cancelled"));
  EXPECT_EQ(house.detent({"tasks", "cancel", id}).code, 1) << "it is over";
}

TEST_F(Tasks, AScheduleShowsItsTimesAndIsRunByHand) {
  start();
  const Ended run = house.detent({"schedule", "run", "yearly", "--wait"});
  EXPECT_EQ(run.code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("asked for: the year that ends"));
  EXPECT_TRUE(
      eventually([&] { return House::count(house.discord("sub-agent-results"), "The year (by hand): done") == 1; }));
  const std::string id = run.output.substr(0, 26);
  EXPECT_EQ(show(id).at("signal").at("labels").at("scheduled"), json::string("by hand"));

  const Ended listed = house.detent({"schedule", "list"});
  EXPECT_EQ(listed.code, 0) << listed.output;
  EXPECT_THAT(listed.output, HasSubstr("0 0 1 1 *  Asia/Tokyo  "));
  EXPECT_THAT(listed.output, HasSubstr("-01-01 00:00 JST  never  none"));
  EXPECT_THAT(listed.output, HasSubstr("disabled"));

  const Ended next = house.detent({"schedule", "next", "--count", "2", "--json"});
  EXPECT_EQ(next.code, 0) << next.output;
  const auto times = json::parse(next.output).at("times").as_array();
  ASSERT_EQ(times.size(), 2u);
  EXPECT_GT(times[1].at("due_ms").as_int64() - times[0].at("due_ms").as_int64(), int64_t{364} * 86'400'000);

  EXPECT_THAT(house.detent({"schedule", "run", "year"}).output, HasSubstr("no schedule \"year\", but: yearly, never"));
  EXPECT_EQ(house.detent({"schedule", "run", "never"}).code, 0) << "a disabled one can be run";
}

TEST_F(Tasks, WhoFallsSilentIsToldOfAndWhenItIsHeardAgain) {
  house.rewrite_config(
      [](Plan& plan) { plan.more += "[[expect]]\nsource = \"backup\"\nevery = \"2s\"\ngrace = \"1s\"\n"; });
  house.start_broker();
  house.start_dispatcher();
  house.start_discord({"alerts"});
  const auto told = [&](const char* what) {
    return eventually([&] { return House::count(house.discord("alerts"), what) > 0; });
  };
  ASSERT_TRUE(told("backup has fallen silent"));
  EXPECT_THAT(house.detent({"expect", "list"}).output, HasSubstr("SILENT since "));
  house.kill("dispatcher");
  house.start_dispatcher();
  ASSERT_TRUE(eventually([&] {
    // Again until the dispatcher listens: what came before it did, it has not heard.
    house.detent({"publish", "cron.output", "done", "--source", "backup"});
    return House::count(house.discord("alerts"), "resolved: backup is heard again") > 0;
  }));
  EXPECT_EQ(house.detent({"publish", "heartbeat.ok", "fine", "--source", "nas", "--field", "interval_s=600"}).code, 0);
  EXPECT_TRUE(eventually([&] {
    return house.detent({"expect", "list"}).output.find("nas     source  10 min") != std::string::npos;
  }));
  EXPECT_EQ(house.detent({"expect", "forget", "nas"}).code, 0);
  EXPECT_EQ(house.detent({"expect", "forget", "nas"}).code, 1);
}

TEST_F(Tasks, OneThatFailedIsRetriedThoughTheDispatcherDiesInBetween) {
  start();
  const auto wanted = house.folder() / "wanted";
  const std::string id = submit("wants", wanted.string());
  ASSERT_TRUE(reaches(id, "failed"));
  EXPECT_TRUE(eventually([&] { return House::count(house.discord("sub-agent-results"), "exited with 4") == 1; }));
  EXPECT_EQ(house.stop("worker"), 0);
  house.write(wanted, "");
  const Ended retried = house.detent({"tasks", "retry", id});
  EXPECT_EQ(retried.code, 0);
  EXPECT_EQ(retried.output, "queued again\n");
  house.kill("dispatcher");
  house.start_dispatcher();
  EXPECT_TRUE(reaches(id, "queued"));
  house.start_worker();
  ASSERT_TRUE(reaches(id, "succeeded"));
  EXPECT_EQ(show(id).at("attempts"), 2);
  EXPECT_TRUE(eventually([&] { return House::count(house.discord("sub-agent-results"), "found it") == 1; }));
  const Ended again = house.detent({"tasks", "retry", id});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.output, HasSubstr("has succeeded"));
}

}  // namespace

}  // namespace detent::house
