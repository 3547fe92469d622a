// What an agent does through `detent mcp`, with every process behind it as it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/house/house.h"
#include "tests/support/eventually.h"
#include "tests/support/paths.h"

namespace detent::house {

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Agent : public testing::Test {
 protected:
  static Plan plan() {
    Plan plan;
    plan.more = R"toml(
[runner.echo]
command = ["sh", "-c", "echo asked for: $(cat)"]
)toml";
    return plan;
  }

  /// What the model reads of one call, in a session of its own.
  std::string call(const std::string& tool, const json::object& arguments) {
    const auto input = house.folder() / "mcp.in";
    house.write(input, json::serialize(json::object{{"jsonrpc", "2.0"},
                                                    {"id", 1},
                                                    {"method", "tools/call"},
                                                    {"params", {{"name", tool}, {"arguments", arguments}}}}) +
                           "\n");
    const Ended ended = run({"sh", "-c", R"(exec "$1" --config "$2" mcp --source agent 2>"$3.err" <"$3")", "sh",
                             (test::program_folder() / "detent").string(), house.config().string(), input.string()});
    EXPECT_EQ(ended.code, 0) << ended.output;
    boost::system::error_code bad;
    const json::value answer = json::parse(ended.output, bad);
    if (bad || !answer.at("result").is_object()) {
      ADD_FAILURE() << ended.output << read_whole(input.string() + ".err");
      return {};
    }
    return std::string(answer.at("result").at("content").at(0).at("text").as_string());
  }

  House house{plan()};
};

TEST_F(Agent, HandsOffATaskAndSeesWhatBecameOfIt) {
  house.start_broker();
  house.start_dispatcher();
  house.start_worker();
  const std::string said = call("submit", {{"runner", "echo"}, {"prompt", "# Weekly review\n\nof everything"}});
  const std::string id(json::parse(said).at("id").as_string());
  std::string shown;
  EXPECT_TRUE(eventually([&] {
    shown = call("task_status", {{"id", id}});
    return shown.find(R"("state":"succeeded")") != std::string::npos;
  })) << shown;
  EXPECT_THAT(shown, HasSubstr(R"("title":"Weekly review")"));
  EXPECT_THAT(shown, HasSubstr("asked for: # Weekly review"));
}

TEST_F(Agent, ReadsEachResultOnceThoughTheDispatcherDiesInBetween) {
  house.start_broker();
  house.start_dispatcher();
  house.start_worker();
  for (const char* what : {"one", "two"}) EXPECT_EQ(house.detent({"submit", "echo", what, "--wait"}).code, 0);
  EXPECT_THAT(call("inbox", {{"peek", true}}), AllOf(HasSubstr("asked for: one"), HasSubstr("asked for: two")));
  EXPECT_THAT(house.detent({"inbox", "--peek"}).output, HasSubstr("asked for: one"));
  EXPECT_THAT(call("inbox", {}), AllOf(HasSubstr("asked for: one"), HasSubstr("asked for: two")));
  house.kill("dispatcher");
  house.start_dispatcher();
  EXPECT_THAT(call("inbox", {}), HasSubstr(R"("tasks":[])"));
  EXPECT_EQ(house.detent({"submit", "echo", "three", "--wait"}).code, 0);
  const Ended read = house.detent({"inbox"});
  EXPECT_EQ(read.code, 0);
  EXPECT_THAT(read.output, AllOf(HasSubstr("three: succeeded"), HasSubstr("asked for: three"), Not(HasSubstr("one"))));
  EXPECT_THAT(house.detent({"inbox"}).output, HasSubstr("no unread results"));
  EXPECT_EQ(house.detent({"inbox", "--json"}).output, "{\"tasks\":[],\"left_off\":0}\n");
}

TEST_F(Agent, ResultsThatCouldNotBePrintedStayUnread) {
  house.start_broker();
  house.start_dispatcher();
  house.start_worker();
  EXPECT_EQ(house.detent({"submit", "echo", "one", "--wait"}).code, 0);
  const Ended full = run({"sh", "-c", R"("$1" --config "$2" inbox >/dev/full)", "sh",
                          (test::program_folder() / "detent").string(), house.config().string()});
  EXPECT_EQ(full.code, 1);
  EXPECT_THAT(full.output, HasSubstr("stay unread"));
  EXPECT_THAT(house.detent({"inbox"}).output, HasSubstr("asked for: one"));
}

}  // namespace

}  // namespace detent::house
