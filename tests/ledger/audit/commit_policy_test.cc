#include "ledger/audit/commit_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace detent {
namespace {

using Kind = CommitPolicy::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

CommitPolicy::Item signal(std::uint64_t place, std::uint64_t seq, std::size_t receipts = 1, std::size_t bytes = 500) {
  return {place, seq, Kind::signal, bytes, receipts};
}
CommitPolicy::Item receipt(std::uint64_t place, std::uint64_t seq) { return {place, seq, Kind::receipt, 200, 0}; }
CommitPolicy::Item heartbeat(std::uint64_t place, std::uint64_t seq) { return {place, seq, Kind::gathered, 300, 1}; }

TEST(CommitPolicy, ASignalWaitsForItsReceiptsAndGoesWithThem) {
  CommitPolicy policy;
  policy.add(signal(1, 1, 2), Millis{0});
  EXPECT_THAT(policy.due(Millis{100}), IsEmpty());
  policy.add(receipt(2, 1), Millis{100});
  EXPECT_THAT(policy.due(Millis{100}), IsEmpty());
  policy.add(receipt(3, 1), Millis{200});
  EXPECT_THAT(policy.due(Millis{200}), ElementsAre(1, 2, 3));
}

TEST(CommitPolicy, ASignalWaitsNoLongerThanTwoSeconds) {
  CommitPolicy policy;
  policy.add(signal(1, 1), Millis{0});
  EXPECT_EQ(policy.wait(Millis{500}), Millis{1'500});
  EXPECT_THAT(policy.due(Millis{1'999}), IsEmpty());
  EXPECT_THAT(policy.due(Millis{2'000}), ElementsAre(1));
}

TEST(CommitPolicy, EachSignalGetsItsOwnCommitAtNormalVolumes) {
  CommitPolicy policy;
  policy.add(signal(1, 1), Millis{0});
  policy.add(signal(2, 2), Millis{0});
  policy.add(receipt(3, 1), Millis{10});
  policy.add(receipt(4, 2), Millis{10});
  const auto first = policy.due(Millis{10});
  EXPECT_THAT(first, ElementsAre(1, 3));
  EXPECT_THAT(policy.held_after(first, 3), ElementsAre(2));
  policy.committed(first, Millis{10});
  EXPECT_THAT(policy.due(Millis{10}), ElementsAre(2, 4));
}

TEST(CommitPolicy, LaterReceiptsGoWithTheNextCommit) {
  CommitPolicy policy;
  policy.add(receipt(10, 1), Millis{0});
  EXPECT_THAT(policy.due(Millis{5'000}), IsEmpty());
  policy.add(signal(11, 2, 0), Millis{5'000});
  EXPECT_THAT(policy.due(Millis{5'000}), ElementsAre(10, 11));
}

TEST(CommitPolicy, LaterReceiptsDoNotWaitForeverForANextCommit) {
  CommitPolicy policy;
  policy.add(receipt(10, 1), Millis{0});
  policy.add(receipt(11, 2), Millis{30'000});
  EXPECT_EQ(policy.wait(Millis{20'000}), Millis{40'000});
  EXPECT_THAT(policy.due(Millis{59'999}), IsEmpty());
  EXPECT_THAT(policy.due(Millis{60'000}), ElementsAre(10, 11));
}

TEST(CommitPolicy, HeartbeatsAreGatheredForAnHourWhileOthersPassThem) {
  CommitPolicy policy;
  policy.add(heartbeat(1, 1), Millis{0});
  policy.add(receipt(2, 1), Millis{10});
  policy.add(signal(3, 2, 0), Millis{20});
  const auto passing = policy.due(Millis{20});
  EXPECT_THAT(passing, ElementsAre(3));
  EXPECT_THAT(policy.held_after(passing, 3), ElementsAre(1, 2));
  policy.committed(passing, Millis{20});
  policy.add(heartbeat(4, 3), Millis{300'000});
  EXPECT_THAT(policy.due(Millis{3'599'999}), IsEmpty());
  EXPECT_THAT(policy.due(Millis{3'600'000}), ElementsAre(1, 2, 4));
}

TEST(CommitPolicy, ManyHeartbeatsDoNotWaitForTheHour) {
  CommitPolicy policy;
  for (std::uint64_t i = 1; i <= 127; ++i) policy.add(heartbeat(i, i), Millis{0});
  EXPECT_THAT(policy.due(Millis{1}), IsEmpty());
  policy.add(heartbeat(128, 128), Millis{1});
  EXPECT_EQ(policy.due(Millis{1}).size(), 128u);
}

TEST(CommitPolicy, UnderLoadThereIsOneCommitASecond) {
  CommitPolicy policy;
  std::uint64_t place = 0;
  std::vector<Millis> commits;
  for (Millis now{0}; now < Millis{10'000}; now += Millis{10}) {
    for (int i = 0; i < 5; ++i, ++place) policy.add(signal(place + 1, place + 1, 0), now);
    if (const auto due = policy.due(now); !due.empty()) {
      commits.push_back(now);
      policy.committed(due, now);
    }
  }
  std::size_t batches = 0;
  for (std::size_t i = 1; i < commits.size(); ++i) batches += commits[i] - commits[i - 1] >= Millis{1'000};
  EXPECT_GE(batches, 9u);
  EXPECT_LE(commits.size(), 32u + 11u);  // the burst of single ones at first, then one a second
}

TEST(CommitPolicy, ABacklogGoesInFullBatchesBackToBack) {
  CommitPolicy policy;
  std::uint64_t place = 0;
  for (; !policy.full(); ++place) policy.add(signal(place + 1, place + 1, 3, 1'000), Millis{0});
  std::size_t commits = 0;
  while (policy.bytes() >= 8 << 20) {
    const auto due = policy.due(Millis{0});
    EXPECT_GT(due.size() * 1'000, (8u << 20) - 1'000);
    EXPECT_LE(due.size() * 1'000, 8u << 20);
    policy.committed(due, Millis{0});
    ++commits;
  }
  EXPECT_EQ(commits, 2u);
}

TEST(CommitPolicy, OneRecordLargerThanABatchStillGoes) {
  CommitPolicy policy;
  policy.add(signal(1, 1, 0, 20 << 20), Millis{0});
  EXPECT_TRUE(policy.full());
  EXPECT_THAT(policy.due(Millis{0}), ElementsAre(1));
}

/// Everything added is committed exactly once and in order, whatever comes when.
class RandomStreams : public testing::TestWithParam<int> {};

TEST_P(RandomStreams, CommitEverythingOnceAndHoldLittle) {
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  CommitPolicy::Limits limits;
  limits.batch_bytes = 20'000;
  limits.max_held = 64;
  limits.max_gathered = 16;
  CommitPolicy policy{limits};
  std::uint64_t place = 0, seq = 0;
  Millis now{0};
  std::map<std::uint64_t, std::pair<CommitPolicy::Item, Millis>> open;
  std::set<std::uint64_t> done;
  std::vector<std::uint64_t> unanswered;
  Millis last_batch{-1'000'000};
  const auto take = [&](const std::vector<std::uint64_t>& due, bool drain) {
    ASSERT_TRUE(std::is_sorted(due.begin(), due.end()));
    std::size_t bytes = 0, signals = 0;
    bool gathered_only = true;
    for (const auto one : due) {
      ASSERT_TRUE(open.contains(one));
      ASSERT_TRUE(done.insert(one).second);
      const auto& item = open.at(one).first;
      bytes += item.bytes;
      signals += item.kind != Kind::receipt;
      gathered_only &= item.kind != Kind::signal;
      open.erase(one);
    }
    ASSERT_TRUE(bytes <= limits.batch_bytes || due.size() == 1);
    const auto held = policy.held_after(due, due.back());
    ASSERT_LE(held.size(), limits.max_held);
    for (const auto one : held) ASSERT_TRUE(open.contains(one));
    if (signals > 1 && !gathered_only && !drain && policy.bytes() < limits.batch_bytes) {
      ASSERT_GE(now - last_batch, limits.batch_every);
    }
    last_batch = now;
    policy.committed(due, now);
  };
  for (int step = 0; step < 3'000; ++step) {
    const int load = step / 300 % 3;  // quiet, busy, backlog
    for (unsigned i = random() % (load == 0 ? 2 : load == 1 ? 4 : 40); i > 0 && !policy.full(); --i) {
      CommitPolicy::Item item;
      item.place = place += 1 + random() % 3;
      item.bytes = 100 + random() % 900;
      if (!unanswered.empty() && random() % 2) {
        const auto pick = random() % unanswered.size();
        item.seq = unanswered[pick];
        item.kind = Kind::receipt;
        if (random() % 2) unanswered.erase(unanswered.begin() + static_cast<std::ptrdiff_t>(pick));
      } else {
        item.seq = ++seq;
        item.kind = random() % 4 ? Kind::signal : Kind::gathered;
        item.receipts = random() % 3;
        unanswered.push_back(seq);
      }
      policy.add(item, now);
      open.emplace(item.place, std::pair{item, now});
    }
    for (auto due = policy.due(now); !due.empty(); due = policy.due(now)) {
      ASSERT_NO_FATAL_FAILURE(take(due, false));
    }
    ASSERT_LT(policy.bytes(), limits.batch_bytes);
    ASSERT_EQ(policy.size(), open.size());
    if (!open.empty()) {
      const auto wait = policy.wait(now);
      ASSERT_TRUE(wait);
      ASSERT_GT(*wait, Millis{0});
      ASSERT_LE(*wait, limits.gather);
    }
    now += Millis{random() % (load == 0 ? 2'000 : 50)};
  }
  now += limits.gather;
  for (auto due = policy.due(now); !policy.empty(); due = policy.due(now)) {
    if (due.empty()) {
      const auto wait = policy.wait(now);
      ASSERT_TRUE(wait && *wait > Millis{0});
      now += *wait;
      continue;
    }
    ASSERT_NO_FATAL_FAILURE(take(due, false));
  }
  EXPECT_TRUE(open.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomStreams, testing::Range(1, 41));

}  // namespace
}  // namespace detent
