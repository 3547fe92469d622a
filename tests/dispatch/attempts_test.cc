// What an attempt's end does that comes when nobody waits for it any more.
#include <gmock/gmock.h>

#include "tests/dispatch/desk.h"

namespace detent::test {

namespace {

class Attempts : public Desk {};

}  // namespace

TEST_F(Attempts, OneThatWasBelievedLostAndSucceededCountsWhereNoOtherWasBegun) {
  const std::string id = submit("the task");
  report(1);
  now.mono += Millis{61'000};  // it is not renewed
  now.wall += Millis{61'000};
  steps();
  ASSERT_EQ(state(id), "queued");
  end(SUCCEEDED, "done all the same");
  EXPECT_EQ(state(id), "succeeded");
  EXPECT_EQ(inbox().at(0).at("result"), "done all the same");
  end(SUCCEEDED, "done all the same");
  EXPECT_EQ(core().counters().stale, 0u) << "it is said until it is taken";
}

}  // namespace detent::test
