#include "dispatch/expect_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config.h"

namespace detent {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

std::string wrong(const std::string& text) {
  const Result<Config> config = parse_config(text, "detent.toml");
  EXPECT_FALSE(config.has_value());
  return config ? "" : config.error().what;
}

}  // namespace

TEST(ExpectConfig, ReadsWhoIsToBeHeardHowOften) {
  const auto config = parse_config(R"(
    [[expect]]
    source = "backup"
    every = "1d"
    grace = "2h"
    [[expect]]
    source = "robo-server-1"
    every = "10m"
  )",
                                   "detent.toml");
  ASSERT_TRUE(config.has_value()) << config.error().what;
  EXPECT_THAT(config->of<ExpectConfig>().sources,
              ElementsAre(Expectation{"backup", 24h, 2h}, Expectation{"robo-server-1", 10min, 5min}));
}

TEST(ExpectConfig, AWrongValueIsNamedWithItsLine) {
  EXPECT_THAT(wrong("[[expect]]\nsource = \"a\"\n"), HasSubstr("detent.toml:1:1: this [[expect]] has no every"));
  EXPECT_THAT(wrong("[[expect]]\nevery = \"1h\"\n"), HasSubstr("this [[expect]] has no source"));
  EXPECT_THAT(wrong("[[expect]]\nsource = \"a\"\nevery = \"10ms\"\n"),
              HasSubstr("detent.toml:3:9: every must be a duration from \"1s\" to \"366d\""));
  EXPECT_THAT(wrong("[[expect]]\nsorce = \"a\"\nevery = \"1h\"\n"), HasSubstr("did you mean \"source\"?"));
  EXPECT_THAT(wrong("[expect]\nsource = \"a\"\n"), HasSubstr("expect must be written as [[expect]]"));
  const std::string one = "[[expect]]\nsource = \"a\"\nevery = \"1h\"\n";
  EXPECT_THAT(wrong(one + one), HasSubstr("detent.toml:5:10: \"a\" is expected already, at detent.toml:1:1"));
}

}  // namespace detent
