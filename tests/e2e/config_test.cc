// A config that does not load: exit 2, and a line with file, line, column and what was meant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/house/house.h"
#include "tests/support/paths.h"

namespace detent::house {

namespace {

using testing::HasSubstr;

struct Wrong {
  const char* name;
  const char* text;
  const char* at;  // line:column
  const char* says;
  friend void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }
};

const Wrong kWrong[] = {
    {"UnknownKey", "[broker]\nlissten = \"tcp://127.0.0.1:7400\"\n", ":2:1", "\"listen\""},
    {"UnknownSection", "[brokr]\n", ":1:", "\"broker\""},
    {"BadDuration", "[ledger]\npush_timeout = \"soon\"\n", ":2:16", "push_timeout must be a duration"},
    {"BadSize", "[broker]\nsegment = \"12 bananas\"\n", ":2:11", "segment must be a size"},
    {"WrongType", "[telegram]\nchat = \"me\"\n", ":2:8", "chat"},
    {"NoToml", "[broker\nlisten = 1\n", ":1:8", "expected ']'"},
};

class AWrongConfig : public testing::TestWithParam<Wrong> {};
INSTANTIATE_TEST_SUITE_P(Configs, AWrongConfig, testing::ValuesIn(kWrong),
                         [](const auto& info) { return info.param.name; });

}  // namespace

TEST_P(AWrongConfig, EndsEveryProgramWithTwoAndThePlace) {
  const Wrong& wrong = GetParam();
  House house;
  house.write(house.folder() / "wrong.toml", wrong.text);
  const std::string file = house.folder() / "wrong.toml", bin = test::program_folder();
  for (const std::vector<std::string>& command : {std::vector<std::string>{bin + "/detent-broker", "--config", file},
                                                  {bin + "/detent-discord", "--channel", "alerts", "--config", file},
                                                  {bin + "/detent-telegram", "--config", file},
                                                  {bin + "/detent", "--config", file, "config", "check"}}) {
    const Ended ended = run(command, house.folder(), Millis{20'000});
    EXPECT_EQ(ended.code, 2) << command[0] << ": " << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("wrong.toml" + std::string(wrong.at))) << command[0];
    EXPECT_THAT(ended.output, HasSubstr(wrong.says)) << command[0];
  }
}

TEST(ARouteToNowhere, EndsTheBrokerAndTheCheckWithTwoAndThePlace) {
  House house;
  house.rewrite_config(
      [](Plan& plan) { plan.more = "[[route]]\nmatch = { type = \"*\" }\nto = [\"discord.alerst\"]\n"; });
  for (const Ended& ended : {run({(test::program_folder() / "detent-broker").string(), "--config", house.config()}),
                             house.detent({"config", "check"})}) {
    EXPECT_EQ(ended.code, 2) << ended.output;
    EXPECT_THAT(ended.output, testing::ContainsRegex("detent.toml:[0-9]+:[0-9]+: .*alerst"));
  }
}

TEST(AGoodConfig, IsTheExampleInTheRepository) {
  const Ended ended = run({(test::program_folder() / "detent").string(), "--config",
                           (test::source_folder() / "detent.example.toml").string(), "config", "check"});
  EXPECT_EQ(ended.code, 0) << ended.output;
}

TEST(EveryService, SaysAtItsStartWhichConfigItRead) {
  House house;
  house.start_broker();
  house.start_telegram();
  house.start_discord({"alerts"});
  for (const char* name : {"broker", "telegram", "discord alerts"}) {
    EXPECT_TRUE(eventually([&] {
      return house.log(name).find("config: " + house.config().string()) != std::string::npos;
    })) << name
        << ": " << house.log(name);
  }
}

TEST(WrongUsage, EndsWithTwo) {
  const std::string bin = test::program_folder();
  for (const std::vector<std::string>& command : {std::vector<std::string>{bin + "/detent-broker", "--no-such-flag"},
                                                  {bin + "/detent-discord"},
                                                  {bin + "/detent", "no-such-command"},
                                                  {bin + "/detent-sandbox", "--listen"}}) {
    EXPECT_EQ(run(command).code, 2) << command[0];
  }
}

}  // namespace detent::house
