// Every row of the route table, from the agent's socket to what a person sees, and the ledger that tells of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/house/house.h"

namespace detent::house {

namespace {

using testing::HasSubstr;
using testing::Not;

struct Row {
  std::string type, channel;
};
const std::vector<Row> kTable{{"briefing.morning", "briefings"},
                              {"review.weekly", "briefings"},
                              {"incident.detected", "alerts"},
                              {"incident.resolved", "alerts"},
                              {"service.outage", "alerts"},
                              {"service.restored", "alerts"},
                              {"threshold.crossed", "alerts"},
                              {"subagent.completed", "sub-agent-results"},
                              {"subagent.failed", "sub-agent-results"},
                              {"heartbeat.ok", "system"},
                              {"health.check", "system"},
                              {"cron.output", "system"},
                              {"memory.updated", "memory-updates"},
                              {"chat.message", "chat"},
                              {"something.nobody.named", "system"}};

const std::vector<std::string> kChannels{"briefings", "alerts",         "sub-agent-results",
                                         "system",    "memory-updates", "chat"};

std::string titled(const Row& row, const char* what) { return what + (" of " + row.type); }

bool has_buttons(const json::value& message) {
  const auto& object = message.as_object();
  return object.contains("reply_markup") ||
         (object.contains("components") && !object.at("components").as_array().empty());
}

}  // namespace

TEST(Routes, BringEveryTypeToItsChannelAndOnlyThere) {
  House house;
  house.start_broker();
  house.start_consumers();
  for (const Row& row : kTable) {
    house.publish({.type = row.type, .title = titled(row, "News"), .body = "All **well**.", .source = "robo-server-1"});
  }
  ASSERT_TRUE(house.settled());
  for (const std::string& channel : kChannels) {
    const json::array there = house.discord(channel);
    for (const Row& row : kTable) {
      EXPECT_EQ(House::count(there, "**" + titled(row, "News") + "**"), row.channel == channel ? 1u : 0u)
          << row.type << " in " << channel << ": " << json::serialize(there);
    }
  }
  EXPECT_EQ(house.telegram().size(), 0u) << "nothing needed a response: " << json::serialize(house.telegram());
  EXPECT_EQ(house.discord().size(), kTable.size());
  EXPECT_EQ(house.metric("detent_signals_unrouted_total"), 1);

  // Each has its own commit while the broker is up; what is left when it stops goes into one.
  ASSERT_TRUE(eventually([&] { return house.status()["ledger"].at("behind").to_number<uint64_t>() == 0; }));
  house.stop_all();
  house.expect_a_whole_ledger();
  const Ended log = run({"git", "-C", house.ledger(), "log", "--format=%s%n%b", "detent/ledger"});
  for (const Row& row : kTable) {
    EXPECT_THAT(log.output, HasSubstr(row.type)) << "the ledger reads like a diary";
    if (row.type != "heartbeat.ok") {
      EXPECT_THAT(log.output, HasSubstr(titled(row, "News") + " "));
    }
  }
}

TEST(Routes, BringWhatNeedsAResponseToTelegramWithACopyWithoutButtons) {
  House house;
  house.start_broker();
  house.start_consumers();
  for (const Row& row : kTable) {
    house.publish({.type = row.type, .title = titled(row, "Question"), .severity = 2, .needs_response = true});
    house.publish({.type = row.type, .title = titled(row, "Aside")});
  }
  ASSERT_TRUE(house.settled(Millis{120'000}));
  const json::array phone = house.telegram();
  EXPECT_EQ(phone.size(), kTable.size());
  for (const Row& row : kTable) {
    EXPECT_EQ(House::count(phone, titled(row, "Question")), 1u) << row.type;
    EXPECT_EQ(House::count(phone, titled(row, "Aside")), 0u) << row.type;
    for (const std::string& channel : kChannels) {
      const json::array there = house.discord(channel);
      EXPECT_EQ(House::count(there, titled(row, "Question")), row.channel == channel ? 1u : 0u)
          << row.type << " in " << channel;
    }
  }
  for (const json::value& message : house.discord()) EXPECT_FALSE(has_buttons(message)) << json::serialize(message);
  for (const json::value& message : phone) {
    EXPECT_EQ(message.at("sandbox").at("chat_id").to_number<int64_t>(), House::kChat);
  }
  house.stop_all();
  house.expect_a_whole_ledger();
}

TEST(Routes, OfOnesOwnAddToTheTableAndNeverTakeTheOperatorAway) {
  House house({.more = R"(
[[route]]
match = { type = "disk.*", severity = ">=error" }
to = ["discord.alerts"]
[[route]]
match = { labels = { team = "infra" } }
to = ["discord.briefings", "discord.memory-updates"]
)",
               .top = "default_to = [\"discord.chat\"]\n"});
  house.start_broker();
  house.start_telegram();
  house.start_discord({"alerts", "briefings", "memory-updates", "system"});
  house.start_discord({"chat"});
  house.publish({.type = "disk.full", .title = "An error", .severity = 3});
  house.publish({.type = "disk.full", .title = "A notice", .severity = 1});
  house.publish({.type = "anything", .title = "For infra", .labels = {{"team", "infra"}}});
  house.publish({.type = "heartbeat.ok", .title = "By the table"});
  house.publish({.type = "disk.full", .title = "May it be emptied?", .severity = 3, .needs_response = true});
  house.publish({.type = "threshold.crossed", .title = "Shall it go on?", .needs_response = true});
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("alerts"), "An error"), 1u);
  EXPECT_EQ(House::count(house.discord("chat"), "A notice"), 1u);
  EXPECT_EQ(House::count(house.discord("briefings"), "For infra"), 1u);
  EXPECT_EQ(House::count(house.discord("memory-updates"), "For infra"), 1u);
  EXPECT_EQ(House::count(house.discord("system"), "By the table"), 1u);
  EXPECT_EQ(House::count(house.telegram(), "May it be emptied?"), 1u);
  EXPECT_EQ(House::count(house.discord("alerts"), "May it be emptied?"), 1u);
  EXPECT_EQ(House::count(house.telegram(), "Shall it go on?"), 1u);
  EXPECT_EQ(House::count(house.discord("alerts"), "Shall it go on?"), 1u);
  EXPECT_EQ(house.telegram().size(), 2u);
  EXPECT_EQ(house.discord().size(), 7u);
}

TEST(Routes, BringFailuresToTheAlertsWhateverTheirType) {
  House house;
  house.start_broker();
  house.start_discord({"alerts", "system"});
  house.publish({.type = "something.nobody.named", .title = "Broken", .severity = 3});
  EXPECT_EQ(house.detent({"run", "--name", "backup", "--", "false"}).code, 1);
  EXPECT_EQ(house.detent({"run", "--name", "tidy", "--", "true"}).code, 0);
  EXPECT_EQ(house.detent({"publish", "cron.output", "by hand", "--field", "exit_code=3"}).code, 0);
  EXPECT_EQ(house.post("/v1/signals", R"({"type": "cron.output", "title": "by curl", "exit_code": 2})").status, 200);
  ASSERT_TRUE(house.settled());
  const json::array alerts = house.discord("alerts"), system = house.discord("system");
  for (const char* title : {"Broken", "backup failed with exit code 1", "by hand", "by curl"}) {
    EXPECT_EQ(House::count(alerts, title), 1u) << title;
  }
  EXPECT_EQ(House::count(system, "tidy"), 1u);
  EXPECT_EQ(alerts.size(), 4u);
  EXPECT_EQ(system.size(), 1u);
}

TEST(Ledger, HasALinePerSignalAtHumanRates) {
  House house({.ledger = "receipts_within = \"2s\"\n"});
  house.start_broker();
  house.start_discord({"alerts"});
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(house.publish({.type = "incident.detected", .title = "Disk " + std::to_string(i) + " of 3"}));
    ASSERT_TRUE(eventually([&] { return house.status()["ledger"].at("behind").to_number<uint64_t>() == 0; }));
  }
  house.stop_all();
  const Ended log = run({"git", "-C", house.ledger(), "log", "--reverse",
                         "--format=%s|%(trailers:key=Signal-Id,valueonly,separator=%x2C)", "detent/ledger"});
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(log.output, HasSubstr("incident.detected: Disk " + std::to_string(i) + " of 3 -> discord.alerts|" +
                                      ids[static_cast<size_t>(i)]))
        << log.output;
  }
  house.expect_a_whole_ledger();
}

}  // namespace detent::house
