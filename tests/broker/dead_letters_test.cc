#include "broker/dead_letters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "broker/dead_orders.h"
#include "tests/broker/core_fixture.h"

namespace detent {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

struct DeadLettersTest : CoreTest {
  std::vector<DeadLetters::Key> all() const {
    std::vector<DeadLetters::Key> keys;
    for (const auto& [key, place] : dead->letters()) keys.push_back(key);
    return keys;
  }
  /// Carries the orders out as the broker does; the answers, and the most bytes that one work had.
  struct Outcome {
    std::vector<std::string> answers;
    size_t bites = 0, max_bytes = 0;
  };
  Outcome carry_out(DeadOrders& orders) {
    Outcome outcome;
    while (const auto bite = orders.bite(false, now)) {
      ++outcome.bites;
      outcome.max_bytes = std::max(outcome.max_bytes, core->unsynced_bytes());
      sync();
      EXPECT_TRUE(dead->close(bite->keys, bite->retried, 1));
      if (bite->answer) outcome.answers.push_back(bite->answer->second);
    }
    return outcome;
  }
};

TEST_F(DeadLettersTest, BuriesABacklogInBitesThatFitMemory) {
  options.backlog_bytes = 1000;
  restart();
  auto& producer = connect("p");
  for (int i = 0; i < 40; ++i) {
    publish(producer, {signal("cron.output", "t", std::string(1 << 20, 'x'))});
    turn();
  }
  now.mono += Millis{1000};
  core->tick(now);
  turn();
  EXPECT_GE(dead->letters().size(), 10u);
  EXPECT_LE(dead->letters().size(), 20u);
  for (int i = 0; i < 3; ++i) {
    now.mono += Millis{1000};
    core->tick(now);
    turn();
  }
  EXPECT_THAT(dead->letters(), SizeIs(40));
  for (const auto& key : all()) {
    const auto letter = dead->read(key);
    ASSERT_TRUE(letter);
    EXPECT_GT(letter->signal.size(), size_t{1} << 20);
  }
}

TEST_F(DeadLettersTest, BringsManyBackInBitesAndTellsHowMany) {
  make_dead_letters(20, 300'000);
  ASSERT_THAT(dead->letters(), SizeIs(20));
  DeadOrders orders(*core, *dead);
  orders.add({}, true, all());
  orders.add({}, true, all());  // asked a second time meanwhile
  const auto outcome = carry_out(orders);
  EXPECT_THAT(outcome.answers, testing::ElementsAre(R"({"retried":20,"of":20})", R"({"retried":0,"of":20})"));
  EXPECT_GT(outcome.bites, 4u);
  EXPECT_LT(outcome.max_bytes, size_t{2} << 20);
  EXPECT_EQ(open("discord.system"), 20u);
  restart();
  EXPECT_THAT(dead->letters(), IsEmpty());
  EXPECT_EQ(open("discord.system"), 20u);
}

TEST_F(DeadLettersTest, DropsAlsoWhereTheCoreHasNothingElseToWrite) {
  make_dead_letters(2, 10);
  DeadOrders orders(*core, *dead);
  orders.add({}, false, {dead->letters().begin()->first});
  EXPECT_FALSE(core->wants_sync());
  EXPECT_THAT(carry_out(orders).answers, testing::ElementsAre(R"({"dropped":1,"of":1})"));
  restart();
  EXPECT_THAT(dead->letters(), SizeIs(1));
}

TEST_F(DeadLettersTest, AnOrderEndsWhereTheBrokerStops) {
  make_dead_letters(20, 300'000);
  DeadOrders orders(*core, *dead);
  orders.add({}, true, all());
  const auto bite = orders.bite(true, now);
  ASSERT_TRUE(bite && bite->answer);
  EXPECT_LT(bite->keys.size(), 10u);
  EXPECT_TRUE(orders.empty());
  sync();
  EXPECT_THAT(dead->letters(), SizeIs(20 - bite->keys.size()));
}

}  // namespace
}  // namespace detent
