// A config that does not load: exit 2, and a line with file, line, column and what was meant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/house/house.h"

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
    {"BadDuration", "[ledger]\npush_timeout = \"soon\"\n", ":2:16", "soon"},
    {"BadSize", "[broker]\nsegment = \"12 bananas\"\n", ":2:11", "bananas"},
    {"WrongType", "[telegram]\nchat = \"me\"\n", ":2:8", "chat"},
    {"NoToml", "[broker\nlisten = 1\n", ":1:", "config"},
    {"UnknownChannel", "[[route]]\nmatch = { type = \"*\" }\nto = [\"discord.alerst\"]\n", ":3:", "alerst"},
};

class AWrongConfig : public testing::TestWithParam<Wrong> {};
INSTANTIATE_TEST_SUITE_P(Configs, AWrongConfig, testing::ValuesIn(kWrong),
                         [](const auto& info) { return info.param.name; });

}  // namespace

TEST_P(AWrongConfig, EndsEveryProgramWithTwoAndThePlace) {
  const Wrong& wrong = GetParam();
  House house;
  house.write(house.folder() / "wrong.toml", wrong.text);
  const std::string file = house.folder() / "wrong.toml", bin = DETENT_BIN;
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

TEST(AGoodConfig, IsTheExampleInTheRepository) {
  const Ended ended = run({std::string(DETENT_BIN) + "/detent", "--config",
                           std::string(DETENT_SOURCE) + "/detent.example.toml", "config", "check"});
  EXPECT_EQ(ended.code, 0) << ended.output;
}

TEST(WrongUsage, EndsWithTwo) {
  const std::string bin = DETENT_BIN;
  for (const std::vector<std::string>& command : {std::vector<std::string>{bin + "/detent-broker", "--no-such-flag"},
                                                  {bin + "/detent-discord"},
                                                  {bin + "/detent", "no-such-command"},
                                                  {bin + "/detent-sandbox", "--listen"}}) {
    EXPECT_EQ(run(command).code, 2) << command[0];
  }
}

}  // namespace detent::house
