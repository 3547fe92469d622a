#include "broker/ledger_pace.h"

#include <gtest/gtest.h>

namespace detent::test {
namespace {

constexpr uint64_t kMaxLag = 800 << 20, kFarBehind = kMaxLag / 8;

/// A journal into which so many bytes come in each look's time.
struct Journalled {
  Millis mono{1'000'000};
  uint64_t bytes = 0, taken_up = 0;
  LedgerPace pace{kMaxLag};
  Journalled() { gives_way(0); }
  bool gives_way(uint64_t more) {
    mono += LedgerPace::kLook;
    bytes += more;
    return pace.gives_way(mono, bytes, bytes - taken_up);
  }
};

TEST(LedgerPace, GivesWayWhilePublishersAreFaster) {
  Journalled journal;
  EXPECT_FALSE(journal.gives_way(LedgerPace::kFlood - 1));
  EXPECT_TRUE(journal.gives_way(LedgerPace::kFlood));
  EXPECT_TRUE(journal.gives_way(10 * LedgerPace::kFlood));
  EXPECT_FALSE(journal.gives_way(1000)) << "the burst is over";
}

TEST(LedgerPace, BetweenTwoLooksItStaysAsItWas) {
  Journalled journal;
  ASSERT_TRUE(journal.gives_way(LedgerPace::kFlood));
  EXPECT_TRUE(journal.pace.gives_way(journal.mono + Millis{1}, journal.bytes, journal.bytes));
}

TEST(LedgerPace, GoesOnWhenItIsFarBehind) {
  Journalled journal;
  uint64_t looks = 0;
  while (journal.gives_way(LedgerPace::kFlood)) ASSERT_LT(++looks, 1000u);
  EXPECT_GE(journal.bytes, kFarBehind);
  journal.taken_up = 2 * LedgerPace::kFlood;
  EXPECT_TRUE(journal.gives_way(LedgerPace::kFlood)) << "it is near again, and they are faster still";
}

TEST(LedgerPace, AfterLongItCountsWhatCameEachLook) {
  Journalled journal;
  journal.mono += 9 * LedgerPace::kLook;
  EXPECT_FALSE(journal.gives_way(9 * LedgerPace::kFlood)) << "in ten looks' time";
}

}  // namespace
}  // namespace detent::test
