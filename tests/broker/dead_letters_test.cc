#include "broker/dead_letters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdint>

#include "broker/dead_letter_work.h"
#include "broker/orders.h"
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
  Outcome carry_out(Orders& orders) {
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
  options.deliveries.backlog_bytes = 1000;
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
    EXPECT_GT(letter->signals.at(0).size(), size_t{1} << 20);
  }
}

// Else each try on a full disk would fill anew the room that it waits for.
TEST_F(DeadLettersTest, OnAFullDiskAnotherTryWritesNoLetterTwice) {
  options.deliveries.backlog_bytes = 1000;
  restart();
  auto& producer = connect("p");
  const auto title = [](int i) { return "letter-" + std::to_string(100 + i); };
  for (int i = 0; i < 12; ++i) {
    publish(producer, {signal("cron.output", title(i), std::string(1 << 20, 'x'))});
    turn();
  }
  now.mono += Millis{1000};
  core->tick(now);
  ASSERT_TRUE(core->wants_sync());
  auto taken = core->take_work();
  ASSERT_THAT(taken.new_dead_letters, SizeIs(12));
  const auto times_written = [&](int i) {
    size_t times = 0;
    for (const auto& file : disk.list("s/dead").value()) {
      const auto bytes = disk.content("s/dead/" + file);
      if (!bytes) continue;
      for (size_t at = 0; (at = bytes->find(title(i), at)) != std::string::npos; ++at) ++times;
    }
    return times;
  };

  DeadLetterWork letters(*dead, journal->reader());
  Work work;
  letters.add_to(work, std::move(taken.new_dead_letters), {}, now);
  disk.set_capacity(disk.used() + (5 << 20));
  const auto failed = work.before();
  ASSERT_FALSE(failed);
  ASSERT_TRUE(may_pass(failed.error())) << failed.error().what;
  ASSERT_EQ(times_written(0), 1u);
  ASSERT_EQ(times_written(11), 0u);

  EXPECT_FALSE(work.before());
  disk.set_capacity(UINT64_MAX);
  ASSERT_TRUE(work.before());
  letters.written();
  for (int i = 0; i < 12; ++i) EXPECT_EQ(times_written(i), 1u) << title(i);
  EXPECT_THAT(dead->letters(), SizeIs(12));
  for (const auto& key : all()) EXPECT_TRUE(dead->read(key));
}

TEST_F(DeadLettersTest, BringsManyBackInBitesAndTellsHowMany) {
  make_dead_letters(20, 300'000);
  ASSERT_THAT(dead->letters(), SizeIs(20));
  Orders orders(*core, *dead);
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
  Orders orders(*core, *dead);
  orders.add({}, false, {dead->letters().begin()->first});
  EXPECT_FALSE(core->wants_sync());
  EXPECT_THAT(carry_out(orders).answers, testing::ElementsAre(R"({"dropped":1,"of":1})"));
  restart();
  EXPECT_THAT(dead->letters(), SizeIs(1));
}

TEST_F(DeadLettersTest, DropsAChannelInBitesAndNothingThatCameLater) {
  auto& producer = connect("p");
  for (int i = 0; i < 3; ++i) {
    publish(producer, std::vector<Signal>(1, signal("cron.output")));
    std::vector<Signal> many;
    for (int k = 0; k < 3000; ++k) many.push_back(signal("cron.output"));
    publish(producer, many);
    turn();
  }
  Orders orders(*core, *dead);
  orders.drop({}, "discord.system");
  publish(producer, {signal("cron.output")});
  turn();
  const auto outcome = carry_out(orders);
  EXPECT_THAT(outcome.answers, testing::ElementsAre(R"({"channel":"discord.system","dropped":9003,"open":1})"));
  EXPECT_EQ(outcome.bites, 3u);
}

TEST_F(DeadLettersTest, AnOrderEndsWhereTheBrokerStops) {
  make_dead_letters(20, 300'000);
  Orders orders(*core, *dead);
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
