#include "consumers/discord/config.h"

#include <gmock/gmock.h>

#include "config/config.h"

namespace detent::discord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Settings read(const std::string& text) { return parse_config(text, "detent.toml")->of<Settings>(); }
std::string wrong(const std::string& text) { return parse_config(text, "detent.toml").error().what; }

TEST(DiscordConfig, AChannelIsAnIdOrATable) {
  const Settings settings = read(
      "[discord.channels]\nalerts = \"1\"\nsystem = { id = \"2\", silent = false }\nchat = { webhook = "
      "\"https://x.example\" }\n");
  EXPECT_THAT(settings.channels(), ElementsAre("discord.alerts", "discord.chat", "discord.system"));
  EXPECT_EQ(settings.by_name.at("alerts").id, "1");
  EXPECT_FALSE(settings.by_name.at("system").silent);
  EXPECT_TRUE(settings.by_name.at("chat").webhook.has_value());
}

TEST(DiscordConfig, WhatNobodyWaitsForIsSilentByDefault) {
  const Settings settings = read("[discord.channels]\nalerts = \"1\"\nsystem = \"2\"\nmemory-updates = \"3\"\n");
  EXPECT_FALSE(settings.by_name.at("alerts").silent);
  EXPECT_TRUE(settings.by_name.at("system").silent);
  EXPECT_TRUE(settings.by_name.at("memory-updates").silent);
}

TEST(DiscordConfig, AChannelHasOneWayToBeWrittenTo) {
  EXPECT_THAT(wrong("[discord.channels]\nx = { silent = true }\n"), HasSubstr("exactly one of id, webhook"));
  EXPECT_THAT(wrong("[discord.channels]\nx = { id = \"1\", webhook = \"https://x.example\" }\n"),
              HasSubstr("exactly one of id, webhook"));
  EXPECT_THAT(wrong("[discord.channels]\nx = \"alerts\"\n"), HasSubstr("must be digits"));
}

TEST(DiscordConfig, NamesTheSecretsThatItsChannelsNeed) {
  const auto who = [](const Settings& settings) {
    std::vector<std::string> names;
    for (const auto& [name, secret] : settings.secrets()) names.push_back(name);
    return names;
  };
  EXPECT_THAT(who(read("[discord.channels]\nx = \"1\"\ny = { webhook = \"https://x.example\" }\n")),
              ElementsAre("discord.y", "discord"));
  EXPECT_THAT(who(read("[discord.channels]\ny = { webhook = \"https://x.example\" }\n")), ElementsAre("discord.y"));
  EXPECT_THAT(who(read("")), ElementsAre());
}

TEST(DiscordConfig, KnowsWhetherAnotherSaysTheSame) {
  const Settings one = read("[discord.channels]\nx = \"1\"\n");
  EXPECT_EQ(one, read("[discord.channels]\nx = \"1\"\n"));
  EXPECT_FALSE(one == read("[discord.channels]\nx = \"2\"\n"));
  EXPECT_FALSE(one == read("[discord]\nrequests_per_second = 9\n[discord.channels]\nx = \"1\"\n"));
}

}  // namespace
}  // namespace detent::discord
