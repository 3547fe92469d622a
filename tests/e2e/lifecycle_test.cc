// SIGTERM drains, SIGHUP reads the config again, and a broker that is not there is said so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>

#include "tests/house/house.h"
#include "tests/support/paths.h"

namespace detent::house {

namespace {
using testing::HasSubstr;
}

TEST(SigTerm, DrainsTheBrokerInTheMiddleOfALoad) {
  House house;
  house.start_broker();
  house.start_discord({"system"});
  std::atomic<int> durable = 0;
  const int all = 400;
  for (int i = 0; i < all; ++i) {
    const Built built = house.build({.type = "cron.output", .title = "Job " + std::to_string(i)});
    ASSERT_TRUE(house.publisher().publish(built.signal,
                                          [&](const Publisher::Outcome& outcome) { durable += outcome.durable(); }));
    if (i == all / 2) {
      ASSERT_TRUE(eventually([&] { return durable > 0; }));
      EXPECT_EQ(house.stop("broker"), 0);
      EXPECT_THAT(house.log("broker"), HasSubstr("drained"));
    }
  }
  house.start_broker();
  ASSERT_TRUE(house.publisher().flush(Millis{30'000})) << house.publisher().obstacle();
  EXPECT_EQ(durable, all);
  ASSERT_TRUE(house.settled());
  const json::array system = house.discord("system");
  EXPECT_EQ(system.size(), static_cast<size_t>(all));
  for (int i = 0; i < all; ++i) EXPECT_EQ(House::count(system, "**Job " + std::to_string(i) + "**"), 1u) << i;
  house.stop_all();
  house.expect_a_whole_ledger();
}

TEST(SigTerm, LetsAConsumerFinishWhatIsUnderWay) {
  House house;
  house.start_broker();
  house.start_discord({"chat"});
  house.start_telegram();
  // A webhook has no nonce: were the request broken off, nobody would know whether it arrived.
  house.fault({{"service", "discord"}, {"kind", "slow"}, {"seconds", 1.5}, {"method", "POST"}});
  for (int i = 0; i < 5; ++i) house.publish({.type = "chat.message", .title = "Word " + std::to_string(i)});
  ASSERT_TRUE(eventually([&] { return house.faults_left() == 0; }));
  EXPECT_EQ(house.stop("discord chat"), 0);
  EXPECT_EQ(house.stop("telegram"), 0);
  EXPECT_EQ(House::count(house.discord("chat"), "**Word 0**"), 1u);
  house.start_discord({"chat"});
  ASSERT_TRUE(house.settled());
  const json::array chat = house.discord("chat");
  EXPECT_EQ(chat.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(House::count(chat, "**Word " + std::to_string(i) + "**"), 1u) << i;
  house.stop_all();
  for (const auto& [what, state] : house.receipts()) EXPECT_EQ(state, "delivered") << what;
}

TEST(SigHup, TakesTheRoutesOfAChangedConfigForLaterSignals) {
  House house;
  house.start_broker();
  house.start_discord({"alerts", "system"});
  house.publish({.type = "backup.done", .title = "Before"});
  house.rewrite_config(
      [](Plan& plan) { plan.more = "[[route]]\nmatch = { type = \"backup.*\" }\nto = [\"discord.alerts\"]\n"; });
  house.process("broker").signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return house.log("broker").find("reloaded") != std::string::npos; }))
      << house.log("broker");
  house.publish({.type = "backup.done", .title = "After"});
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("system"), "**Before**"), 1u);
  EXPECT_EQ(House::count(house.discord("alerts"), "**After**"), 1u);
  EXPECT_EQ(house.discord().size(), 2u);
}

TEST(SigHup, LeavesTheOldConfigInForceWhereTheNewOneIsWrong) {
  House house({.more = "[[route]]\nmatch = { type = \"backup.*\" }\nto = [\"discord.alerts\"]\n"});
  house.start_broker();
  house.start_discord({"alerts"});
  house.publish({.type = "backup.done", .title = "First"});
  ASSERT_TRUE(house.settled());
  const std::string good = read_whole(house.config());
  house.write(house.config(), good + "to_nobody = 1\n");
  house.process("broker").signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return house.log("broker").find("the config stays as it was") != std::string::npos; }));
  EXPECT_THAT(house.log("broker"), HasSubstr("to_nobody"));
  house.publish({.type = "backup.done", .title = "As before"});
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("alerts"), "**As before**"), 1u);
  // The command says the same to whoever asks.
  const Ended refused = run({(test::program_folder() / "detent").string(), "--config", house.config(), "reload",
                             "--broker", house.endpoint()});
  EXPECT_NE(refused.code, 0) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("to_nobody"));
  house.write(house.config(), good);
  const Ended taken = house.detent({"reload"});
  EXPECT_EQ(taken.code, 0) << taken.output;
  EXPECT_THAT(taken.output, HasSubstr("routing"));
}

TEST(ABrokerThatIsNotThere, IsSaidWithinTheDeadlineAndConsumersWaitForIt) {
  House house;
  const Ended publish = house.detent({"publish", "cron.output", "Nobody listens", "--deadline", "1s"});
  EXPECT_EQ(publish.code, 1) << publish.output;
  EXPECT_THAT(publish.output, HasSubstr(house.endpoint()));
  house.start_discord({"system"});
  ASSERT_TRUE(eventually([&] { return house.log("discord system").find("serving") != std::string::npos; }));
  house.start_broker();
  house.publish({.type = "cron.output", .title = "Somebody does"});
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("system"), "**Somebody does**"), 1u);
}

TEST(Trace, TellsTheWholeStoryOfASignal) {
  House house;
  house.start_broker();
  house.start_discord({"alerts"});
  const std::string id = house.publish({.type = "service.outage", .title = "Port 5432 is dead"});
  ASSERT_TRUE(house.settled());
  const Ended trace = house.detent({"trace", id});
  EXPECT_EQ(trace.code, 0) << trace.output;
  EXPECT_THAT(trace.output, HasSubstr("discord.alerts"));
  EXPECT_THAT(trace.output, HasSubstr("https://discord.com/channels/"));
  ASSERT_TRUE(eventually([&] { return house.detent({"audit", "show", id}).code == 0; }));
  const Ended verify = house.detent({"audit", "verify"});
  EXPECT_EQ(verify.code, 0) << verify.output;
}

}  // namespace detent::house
