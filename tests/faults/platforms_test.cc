// Bad days of the platforms. Whatever they do, what was acknowledged arrives, or it is said that nobody knows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/house/house.h"

namespace detent::house {

namespace {

using testing::HasSubstr;

/// Orders `kind` for the next message to each of a Discord channel, a webhook and Telegram.
void bad_day(House& house, const std::string& kind, int count = 1) {
  json::object fault{{"kind", kind}, {"count", count}, {"retry_after", 0.5}, {"seconds", 2}};
  fault["service"] = "discord";
  fault["method"] = "POST";
  fault["channel"] = House::channel_id("alerts");
  house.fault(fault);
  fault["channel"] = House::channel_id("chat");
  house.fault(fault);
  fault.erase("channel");
  fault["service"] = "telegram";
  fault["method"] = "sendMessage";
  house.fault(fault);
}

}  // namespace

/// What the platform does to one message, and what a person sees of it afterwards.
struct BadDay {
  const char* kind;
  bool taken;    // by the platform, although nobody was told
  bool unclear;  // from outside, whether it was
  friend void PrintTo(const BadDay& day, std::ostream* out) { *out << day.kind; }
};

class EveryFault : public testing::TestWithParam<BadDay> {};

INSTANTIATE_TEST_SUITE_P(Platforms, EveryFault,
                         testing::Values(BadDay{"429", false, false}, BadDay{"500", false, false},
                                         BadDay{"502", false, false}, BadDay{"503", false, false},
                                         BadDay{"slow", false, false}, BadDay{"reset", false, true},
                                         BadDay{"timeout", false, true}, BadDay{"accept-then-reset", true, true},
                                         BadDay{"accept-then-timeout", true, true}),
                         [](const auto& info) {
                           std::string name = info.param.kind;
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(EveryFault, IsSurvivedWithNothingLostAndEveryUnknownSaid) {
  const auto [kind, taken, unclear] = GetParam();
  House house;
  house.start_broker();
  house.start_discord({"alerts"});
  house.start_discord({"chat"});
  house.start_telegram();
  bad_day(house, kind);
  house.publish({.type = "incident.detected", .title = "Met the bot"});
  const std::string met_webhook = house.publish({.type = "chat.message", .title = "Met the webhook"});
  house.publish({.type = "question.asked", .title = "Met Telegram", .needs_response = true});
  house.publish({.type = "incident.detected", .title = "After the bot"});
  house.publish({.type = "chat.message", .title = "After the webhook"});
  house.publish({.type = "question.asked", .title = "After Telegram", .needs_response = true});
  house.start_discord({"system"});  // the copies
  ASSERT_TRUE(house.settled(Millis{90'000}));
  EXPECT_EQ(house.faults_left(), 0u);

  // The bot endpoint has nonces and a history: no repeat is ever visible, and nothing stays open.
  const json::array alerts = house.discord("alerts");
  EXPECT_EQ(House::count(alerts, "**Met the bot**"), 1u);
  EXPECT_EQ(House::count(alerts, "**After the bot**"), 1u);
  // A webhook has neither: what is unclear is not sent again.
  const json::array chat = house.discord("chat");
  EXPECT_EQ(House::count(chat, "**Met the webhook**"), unclear && !taken ? 0u : 1u);
  EXPECT_EQ(House::count(chat, "**After the webhook**"), 1u);
  // What needs a response is rather sent twice, and says so.
  const json::array phone = house.telegram();
  EXPECT_EQ(House::count(phone, "Met Telegram"), taken ? 2u : 1u);
  EXPECT_EQ(House::count(phone, "(repeat)"), unclear ? 1u : 0u);
  EXPECT_EQ(House::count(phone, "After Telegram"), 1u);

  house.stop_all();
  auto receipts = house.receipts();
  EXPECT_EQ(receipts[met_webhook + " discord.chat"], unclear ? "unknown" : "delivered");
  std::erase_if(receipts, [](const auto& receipt) { return receipt.second == "delivered"; });
  EXPECT_EQ(receipts.size(), unclear ? 1u : 0u) << "every other is delivered";
  if (unclear) {
    EXPECT_THAT(house.log("discord chat"), HasSubstr("unknown: signal "));
  }
  house.expect_a_whole_ledger();
}

TEST(BadHour, OfEveryFaultInTurnOnEveryRequestLosesNothing) {
  House house;
  house.start_broker();
  house.start_discord({"alerts", "system"});
  house.start_telegram();
  // On whatever request comes, also those that only look: channel, history, threads.
  for (const char* kind :
       {"500", "429", "reset", "accept-then-reset", "503", "429", "reset", "502", "accept-then-reset"}) {
    for (const char* service : {"discord", "telegram"}) {
      house.fault({{"service", service}, {"kind", kind}, {"retry_after", 0.2}});
    }
  }
  std::vector<std::string> titles;
  for (int i = 0; i < 12; ++i) {
    titles.push_back("Story " + std::to_string(i) + " of the hour");
    house.publish({.type = "incident.detected", .title = titles.back(), .thread = i % 2 ? "a-thread" : ""});
  }
  for (int i = 0; i < 4; ++i) {
    house.publish(
        {.type = "question.asked", .title = "Question " + std::to_string(i) + " of the hour", .needs_response = true});
  }
  ASSERT_TRUE(house.settled(Millis{90'000}));
  const json::array alerts = house.discord("alerts");
  for (const std::string& title : titles) EXPECT_EQ(House::count(alerts, "**" + title + "**"), 1u) << title;
  const json::array phone = house.telegram();
  for (int i = 0; i < 4; ++i) {
    const std::string title = "Question " + std::to_string(i) + " of the hour";
    const size_t seen = House::count(phone, title);
    EXPECT_GE(seen, 1u) << title;
    size_t marked = 0;
    for (const json::value& message : phone) {
      const std::string text = json::serialize(message);
      marked += text.find(title) != std::string::npos && text.find("(repeat)") != std::string::npos;
    }
    EXPECT_GE(marked + 1, seen) << title << ": a repeat that does not say so";
  }
  house.stop_all();
  for (const auto& [what, state] : house.receipts()) EXPECT_EQ(state, "delivered") << what;
}

TEST(BadHour, OfOneChannelCostsTheOthersNothing) {
  House house;
  house.start_broker();
  house.start_discord({"alerts"});
  house.start_discord({"system"});
  house.fault({{"service", "discord"}, {"kind", "timeout"}, {"channel", House::channel_id("alerts")}, {"count", 1}});
  house.publish({.type = "incident.detected", .title = "Held up"});
  ASSERT_TRUE(eventually([&] { return house.faults_left() == 0; }));
  for (int i = 0; i < 20; ++i) house.publish({.type = "cron.output", .title = "Job " + std::to_string(i)});
  ASSERT_TRUE(eventually([&] { return house.discord("system").size() == 20; }, Millis{10'000}));
  EXPECT_EQ(House::count(house.discord("alerts"), "Held up"), 0u) << "it should still be waiting for its answer";
  EXPECT_EQ(house.status_of("discord.alerts").at("pending").to_number<int>(), 1);
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("alerts"), "**Held up**"), 1u);
}

TEST(ARefusalForGood, IsADeadLetterWithItsCauseAndComesBackByRetry) {
  House house;
  house.start_broker();
  house.start_discord({"alerts", "system"});
  house.start_telegram();
  json::object fault{
      {"service", "discord"}, {"kind", "404"}, {"method", "POST"}, {"channel", House::channel_id("system")}};
  house.fault(fault);
  house.publish({.type = "cron.output", .title = "Refused by Discord"});
  ASSERT_TRUE(eventually([&] { return house.status_of("discord.system").at("dead_letters").to_number<int>() == 1; }));
  fault = {{"service", "telegram"}, {"kind", "403"}, {"method", "sendMessage"}};
  ASSERT_TRUE(eventually([&] { return House::count(house.telegram(), "given up") == 1; }))
      << "the alarm: a dead letter";
  house.fault(fault);
  house.publish({.type = "question.asked", .title = "Refused by Telegram", .needs_response = true});
  ASSERT_TRUE(eventually([&] { return house.status_of("telegram").at("dead_letters").to_number<int>() == 1; }));
  Ended list;
  ASSERT_TRUE(eventually([&] {
    list = house.detent({"dead", "list"});
    return list.output.find("discord.system") != std::string::npos && list.output.find("telegram") != std::string::npos;
  })) << list.output;
  EXPECT_THAT(list.output, HasSubstr("Unknown Channel"));
  EXPECT_THAT(list.output, HasSubstr("telegram 403"));
  EXPECT_EQ(house.detent({"dead", "retry", "--all"}).code, 0);
  ASSERT_TRUE(eventually([&] { return House::count(house.discord("system"), "**Refused by Discord**") == 1; }));
  ASSERT_TRUE(eventually([&] { return House::count(house.telegram(), "Refused by Telegram") == 1; }));
  ASSERT_TRUE(house.settled());
  house.stop_all();
  house.expect_a_whole_ledger();
}

TEST(Permissions, ThatAreMissingMakePlainMessagesAndThatIsSaidOnce) {
  House house;
  house.control("POST", "permissions",
                json::serialize(json::object{{"channel", House::channel_id("alerts")},
                                             {"deny", {"EMBED_LINKS", "ATTACH_FILES", "CREATE_PUBLIC_THREADS"}}}));
  house.start_broker();
  house.start_discord({"alerts"});
  for (int i = 0; i < 3; ++i) {
    house.publish(
        {.type = "incident.detected", .title = "Plain " + std::to_string(i), .body = "A body.", .thread = "key"});
  }
  std::string log_of_a_night;
  for (int i = 0; i < 2000; ++i) log_of_a_night += "Line " + std::to_string(i) + " of the night.\n\n";
  house.publish({.type = "incident.detected", .title = "Without a file", .body = log_of_a_night});
  ASSERT_TRUE(house.settled());
  const json::array alerts = house.discord("alerts");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(House::count(alerts, "Plain " + std::to_string(i)), 1u);
  EXPECT_GE(House::count(alerts, "Without a file"), 1u);
  for (const json::value& message : alerts) {
    EXPECT_TRUE(message.at("embeds").as_array().empty());
    EXPECT_EQ(message.at("channel_id").as_string(), House::channel_id("alerts"));
  }
  const std::string log = house.log("discord alerts");
  size_t said = 0;
  for (size_t at = log.find("no permission for embeds"); at != std::string::npos;
       at = log.find("no permission for embeds", at + 1))
    ++said;
  EXPECT_EQ(said, 1u) << log;
}

}  // namespace detent::house
