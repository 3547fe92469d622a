// detent/tasks beside a running dispatcher: what becomes of tasks is in git, and what people write into QUEUE.md is
// done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/house/house.h"
#include "tests/support/eventually.h"

namespace detent::house {

namespace {

using testing::AllOf;
using testing::HasSubstr;

class TaskFiles : public testing::Test {
 protected:
  static Plan plan() {
    Plan plan;
    plan.more = R"toml(
[runner.echo]
command = ["sh", "-c", "echo asked for: $(cat)"]
[runner.wants]
command = ["sh", "-c", "read -r file; if [ ! -e $file ]; then exit 4; fi; echo found it"]
[runner.asks]
command = ["sh", "-c", "printf -- '---\nneeds_response: true\n---\nShall I go on?\n'"]
)toml";
    return plan;
  }

  Ended git(std::vector<std::string> arguments, const std::filesystem::path& where) {
    std::vector<std::string> command{
        "git", "-C", where.string(), "-c", "user.name=Ann", "-c", "user.email=ann@example.org"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(std::move(command));
  }
  std::string file(const std::string& name) {
    return git({"show", "detent/tasks:worker/" + name}, house.ledger()).output;
  }
  bool appears(const std::string& name, const std::string& text) {
    return eventually([&] { return file(name).find(text) != std::string::npos; });
  }
  std::string submit(const std::string& runner, const std::string& prompt) {
    const Ended ended = house.detent({"submit", runner, prompt, "--json"});
    EXPECT_EQ(ended.code, 0) << ended.output;
    return std::string(json::parse(ended.output).at("id").as_string());
  }
  /// Puts text at the end of QUEUE.md in a clone, and pushes it.
  void write_by_hand(const std::string& text) {
    const auto clone = house.folder() / "clone";
    std::filesystem::remove_all(clone);
    ASSERT_EQ(git({"clone", "-q", "-b", "detent/tasks", house.ledger().string(), clone.string()}, house.folder()).code,
              0);
    std::ofstream(clone / "worker/QUEUE.md", std::ios::app) << text;
    ASSERT_EQ(git({"commit", "-q", "-a", "-m", "by hand"}, clone).code, 0);
    // The dispatcher may commit at the same moment.
    ASSERT_TRUE(eventually([&] {
      return git({"pull", "-q", "--rebase"}, clone).code == 0 && git({"push", "-q"}, clone).code == 0;
    }));
  }

  House house{plan()};
};

TEST_F(TaskFiles, ATaskWrittenIntoTheQueueByHandIsRunAndItsResultIsBesideIt) {
  house.start_broker();
  house.start_dispatcher();
  house.start_worker();
  house.start_discord({"sub-agent-results"});
  ASSERT_TRUE(appears("QUEUE.md", "# Worker queue"));
  write_by_hand("\n## Water the plants\n\n- runner: echo\n\nAll of them.\n\n## And this\n\n- priority: high\n\nNow.\n");
  ASSERT_TRUE(
      eventually([&] { return House::count(house.discord("sub-agent-results"), "asked for: All of them.") == 1; }));
  ASSERT_TRUE(appears("QUEUE.md", "- state: succeeded"));
  const std::string queue = file("QUEUE.md");
  const auto at = queue.find(" - Water the plants");
  ASSERT_NE(at, std::string::npos) << queue;
  const std::string id = queue.substr(at - 26, 26);
  EXPECT_TRUE(appears("RESULTS/" + id + ".md", "asked for: All of them."));
  EXPECT_THAT(file("RESULTS/" + id + ".md"),
              AllOf(HasSubstr("state: succeeded"), HasSubstr("title: Water the plants")));
  EXPECT_TRUE(appears("HEARTBEAT.md", "- runners: asks, echo, wants"));
  const Ended listed = house.detent({"tasks", "list"});
  EXPECT_THAT(listed.output, HasSubstr("QUEUE.md line")) << "the bad line is named where tasks are listed";
}

TEST_F(TaskFiles, TheResultOfARetryTakesThePlaceOfTheFailure) {
  house.start_broker();
  house.start_dispatcher();
  house.start_worker();
  const auto wanted = house.folder() / "wanted";
  const std::string id = submit("wants", wanted.string());
  ASSERT_TRUE(appears("RESULTS/" + id + ".md", "state: failed"));
  house.write(wanted, "");
  ASSERT_EQ(house.detent({"tasks", "retry", id}).code, 0);
  EXPECT_TRUE(appears("RESULTS/" + id + ".md", "state: succeeded"));
  EXPECT_TRUE(appears("RESULTS/" + id + ".md", "found it"));
}

TEST_F(TaskFiles, TheQueueInGitBringsTasksBackWhenTheDispatcherHasLostItsJournal) {
  house.start_broker();
  house.start_dispatcher();
  const std::string id = submit("echo", "in spite of all");
  ASSERT_TRUE(appears("QUEUE.md", id));
  house.kill("dispatcher");
  std::filesystem::remove_all(house.state() / "dispatch");
  house.start_dispatcher();
  house.start_worker();
  EXPECT_TRUE(appears("RESULTS/" + id + ".md", "asked for: in spite of all"));
}

TEST_F(TaskFiles, AResultThatNeedsAResponseReachesTheOperatorsPhone) {
  house.start_broker();
  house.start_dispatcher();
  house.start_worker();
  house.start_telegram();
  submit("asks", "may I");
  EXPECT_TRUE(eventually([&] { return House::count(house.telegram(), "Shall I go on?") == 1; }));
}

}  // namespace

}  // namespace detent::house
