// A token that is refused: one clear line, an alarm where it can be read, a circuit that stays open until the token
// changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/house/house.h"

namespace detent::house {

namespace {

using testing::HasSubstr;
using testing::Not;

size_t lines_with(const std::string& text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, text.find('\n', at))) {
    ++count;
    if (text.find('\n', at) == std::string::npos) break;
  }
  return count;
}

bool circuit_open(House& house, std::string_view channel) {
  const json::object state = house.status_of(channel);
  return !state.empty() && state.at("circuit_open").as_bool();
}

}  // namespace

TEST(AWrongDiscordToken, OpensTheCircuitUntilItChangesAndOthersGoOn) {
  House house;
  house.write(house.discord_token(), "a-bad-token");
  house.start_broker();
  house.start_discord({"alerts"});
  house.start_discord({"chat"});
  house.start_telegram();
  for (int i = 0; i < 5; ++i) house.publish({.type = "threshold.crossed", .title = "Kept " + std::to_string(i)});
  ASSERT_TRUE(eventually([&] { return circuit_open(house, "discord.alerts"); }));
  EXPECT_EQ(house.metric("detent_channel_circuit_open{channel=\"discord.alerts\"}"), 1);
  // The alarm is on the phone; the webhook and Telegram work.
  ASSERT_TRUE(eventually([&] { return House::count(house.telegram(), "circuit open: discord.alerts") == 1; }));
  house.publish({.type = "chat.message", .title = "By webhook"});
  ASSERT_TRUE(eventually([&] { return House::count(house.discord("chat"), "By webhook") == 1; }));
  EXPECT_EQ(house.discord("alerts").size(), 0u);
  EXPECT_EQ(lines_with(house.log("discord alerts"), "circuit open"), 1u);
  EXPECT_THAT(house.log("discord alerts"), HasSubstr(house.discord_token().string()));
  EXPECT_THAT(house.log("discord alerts"), Not(HasSubstr("a-bad-token")));
  const Ended status = house.detent({"status"});
  EXPECT_EQ(status.code, 0) << status.output;
  EXPECT_THAT(status.output, HasSubstr("401"));

  size_t asked = 0;
  for (const json::object& request : house.requests()) asked += request.at("status").to_number<int>() == 401;
  EXPECT_LE(asked, 3u) << "a token that was refused is not tried again and again";

  house.write(house.discord_token(), House::kDiscordToken);
  ASSERT_TRUE(house.settled());
  const json::array alerts = house.discord("alerts");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(House::count(alerts, "**Kept " + std::to_string(i) + "**"), 1u);
  EXPECT_FALSE(circuit_open(house, "discord.alerts"));
  EXPECT_EQ(House::count(house.telegram(), "resolved: discord.alerts is delivering again"), 1u) << "once when resolved";
  EXPECT_EQ(House::count(house.telegram(), "circuit open: discord.alerts"), 2u) << "raised once, and told with the end";
  house.stop_all();
  house.expect_a_whole_ledger();
}

TEST(AWrongDiscordToken, CostsABacklogThatDeadRetryBringsBack) {
  House house({.broker = "max_backlog = { bytes = \"256KiB\", age = \"30d\" }\n"});
  house.write(house.discord_token(), "a-bad-token");
  house.start_broker();
  house.start_discord({"alerts", "system"});
  house.start_telegram();
  const std::string body(10'000, 'x');
  const int all = 60;
  for (int i = 0; i < all; ++i) {
    house.publish(
        {.type = "threshold.crossed", .title = "Number " + std::to_string(i) + " of the backlog", .body = body});
  }
  // What is over the limit dies, oldest first, and publishers are taken all the same.
  int dead = 0;
  ASSERT_TRUE(eventually([&] {
    dead = house.status_of("discord.alerts").at("dead_letters").to_number<int>();
    return (all - dead) * 10'000 <= 256 * 1024;
  })) << dead;
  Ended list;
  ASSERT_TRUE(eventually([&] {
    list = house.detent({"dead", "list", "--channel", "discord.alerts"});
    return list.code == 0 && list.output.find("Number 0 of the backlog") != std::string::npos;
  })) << list.output;
  EXPECT_THAT(list.output, HasSubstr("backlog"));

  // They outlive the broker.
  house.kill("broker");
  house.start_broker();
  EXPECT_GE(house.status_of("discord.alerts").at("dead_letters").to_number<int>(), dead);

  house.write(house.discord_token(), House::kDiscordToken);
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("alerts"), "Number 0 of the backlog"), 0u);
  // All at once are more than the backlog may hold, so what is over it dies again, and is brought back again.
  ASSERT_TRUE(eventually([&] {
    if (house.status_of("discord.alerts").at("dead_letters").to_number<int>() == 0) return house.settled(Millis{0});
    const Ended retried = house.detent({"dead", "retry", "--channel", "discord.alerts"});
    EXPECT_EQ(retried.code, 0) << retried.output;
    house.settled();
    return false;
  }));
  const json::array alerts = house.discord("alerts");
  for (int i = 0; i < all; ++i) {
    EXPECT_EQ(House::count(alerts, "**Number " + std::to_string(i) + " of the backlog**"), 1u) << i;
  }
  house.stop_all();
  house.expect_a_whole_ledger();
}

namespace {

/// Starts all with that token, asks the operator, and waits until the alarm that nobody could is in Discord.
void ask_with_telegram_token(House& house, const std::string& token) {
  house.write(house.telegram_token(), token);
  house.start_broker();
  house.start_discord({"alerts"});
  house.start_discord({"system"});
  house.start_telegram();
  house.publish({.type = "question.asked", .title = "Are you there?", .needs_response = true});
  ASSERT_TRUE(eventually([&] { return House::count(house.discord("alerts"), "circuit open: telegram") == 1; }));
  EXPECT_TRUE(circuit_open(house, "telegram"));
}

}  // namespace

TEST(AWrongTelegramToken, IsSaidInDiscordAlertsAndHealsWhenItChanges) {
  House house;
  ask_with_telegram_token(house, "4242:a-bad-token");
  if (testing::Test::HasFatalFailure()) return;
  EXPECT_TRUE(eventually([&] { return House::count(house.discord("system"), "Are you there?") == 1; })) << "its copy";
  EXPECT_THAT(house.log("telegram"), Not(HasSubstr("a-bad-token")));
  house.write(house.telegram_token(), House::kTelegramToken);
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.telegram(), "Are you there?"), 1u);
  EXPECT_EQ(House::count(house.telegram(), "circuit open"), 0u);
}

TEST(ATelegramTokenWithMoreInItsFile, IsSaidInDiscordAlertsAndNeverWritten) {
  House house;
  ask_with_telegram_token(house, "4242:a-bad-token # mine");
  if (testing::Test::HasFatalFailure()) return;
  EXPECT_THAT(house.log("telegram"), HasSubstr(house.telegram_token().string()));
  EXPECT_THAT(house.log("telegram"), Not(HasSubstr("a-bad-token")));
  house.write(house.telegram_token(), House::kTelegramToken);
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.telegram(), "Are you there?"), 1u);
}

TEST(AnOpenCircuit, IsFoundAgainByTheConsumerThatIsStartedAnew) {
  House house;
  house.start_broker();
  house.fault({{"service", "discord"}, {"kind", "401"}});
  house.start_discord({"alerts"});
  house.publish({.type = "threshold.crossed", .title = "Refused once"});
  ASSERT_TRUE(eventually([&] { return circuit_open(house, "discord.alerts"); }));
  house.kill("discord alerts");
  house.start_discord({"alerts"});
  ASSERT_TRUE(eventually([&] { return House::count(house.discord("alerts"), "**Refused once**") == 1; }));
  EXPECT_FALSE(circuit_open(house, "discord.alerts"));
  EXPECT_TRUE(eventually([&] { return house.status().at("alarms").as_array().empty(); }))
      << json::serialize(house.status());
}

}  // namespace detent::house
