#include "broker/channel.h"

#include <gtest/gtest.h>

#include <ctime>

namespace detent {
namespace {

struct Fixture : testing::Test {
  Channel channel{"discord.alerts"};
  Now now{Millis{1000}, Millis{0}};

  static Open one(uint64_t seq, const RecordRef& at, uint32_t key = 0) {
    Open open;
    open.seq = seq;
    open.at = at;
    open.key = key;
    return open;
  }
  void add(uint64_t seq, uint32_t key = 0) { channel.restore(one(seq, {1, 0, 100}, key)); }
  uint64_t take() {
    channel.wake_due(now);
    const Open* open = channel.take();
    return open ? open->seq : 0;
  }
};

using ChannelTest = Fixture;

TEST_F(ChannelTest, HandsOutInOrder) {
  for (uint64_t seq : {3, 5, 9}) add(seq);
  EXPECT_EQ(take(), 3u);
  EXPECT_EQ(take(), 5u);
  EXPECT_EQ(take(), 9u);
  EXPECT_EQ(take(), 0u);
}

TEST_F(ChannelTest, HoldsBackTheNextOfAThreadUntilTheOneBeforeIsSettled) {
  add(1, 7);
  add(2, 7);
  add(3);
  EXPECT_EQ(take(), 1u);
  EXPECT_EQ(take(), 3u);
  EXPECT_EQ(take(), 0u);
  channel.settle(1);
  EXPECT_EQ(take(), 2u);
}

TEST_F(ChannelTest, HoldsTheThreadBackAlsoWhileItsFirstOneWaits) {
  add(1, 7);
  add(2, 7);
  take();
  channel.put_back(1, Millis{5000}, now);
  EXPECT_EQ(take(), 0u);
  now.mono = Millis{5000};
  EXPECT_EQ(take(), 1u);
}

TEST_F(ChannelTest, GoesOnWithAThreadWhenOneInTheMiddleWasSettledMeanwhile) {
  for (uint64_t seq : {1, 2, 3}) add(seq, 7);
  take();
  take();
  channel.settle(2);  // expired while it waited
  channel.settle(1);
  EXPECT_EQ(take(), 3u);
}

TEST_F(ChannelTest, DeliversNothingBeforeItIsDurable) {
  channel.admit(one(1, {0, 64, 100}));
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(channel.journalled(1, 4, 1000), 1u);
  const Open* open = channel.take();
  ASSERT_TRUE(open);
  EXPECT_EQ(open->at.segment, 4u);
  EXPECT_EQ(open->at.offset, 1064u);
}

TEST_F(ChannelTest, ForgetsWhenASettledOneWasDue) {
  for (uint64_t seq : {1, 2}) {
    add(seq);
    take();
    channel.put_back(seq, Millis{4000 + 1000 * static_cast<int64_t>(seq)}, now);
  }
  channel.settle(1);  // expired while it waited
  EXPECT_EQ(channel.due(), Millis{6000});
  channel.settle(2);
  EXPECT_EQ(channel.due(), std::nullopt);
}

TEST_F(ChannelTest, SettlesOneThatWaitsWithoutLookingAtAllThatWait) {
  const uint64_t many = 100'000;
  for (uint64_t seq = 1; seq <= many; ++seq) {
    add(seq);
    take();
    channel.put_back(seq, Millis{2000 + static_cast<int64_t>(seq % 1000)}, now);
  }
  const std::clock_t begin = std::clock();
  for (uint64_t seq = many; seq > 0; --seq) channel.settle(seq);
  // A small part of a second; looking at all of them for each takes minutes.
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 5);
  EXPECT_EQ(channel.open(), 0u);
}

TEST_F(ChannelTest, TellsItsSettledRangesBetweenTheFloorAndTheEnd) {
  for (uint64_t seq = 10; seq < 20; ++seq) add(seq);
  for (int i = 0; i < 10; ++i) take();
  for (uint64_t seq : {10, 13, 14, 19}) channel.settle(seq);
  EXPECT_EQ(channel.floor(25), 11u);
  EXPECT_EQ(channel.settled(25), (std::vector<std::pair<uint64_t, uint64_t>>{{13, 15}, {19, 25}}));
}

TEST_F(ChannelTest, KeepsItsPlaceWhenGapsBehindAnOldOneAreClosed) {
  const uint64_t many = 20'000;
  for (uint64_t seq = 1; seq <= many; ++seq) add(seq);
  EXPECT_EQ(take(), 1u);
  for (uint64_t seq = 2; seq <= many - 2; ++seq) {
    EXPECT_EQ(take(), seq);
    channel.settle(seq);
  }
  EXPECT_LT(channel.queue().size(), 10'000u);
  EXPECT_EQ(channel.open(), 3u);
  EXPECT_EQ(take(), many - 1);
  EXPECT_EQ(take(), many);
}

}  // namespace
}  // namespace detent
