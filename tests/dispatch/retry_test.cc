// A task that did not succeed is queued again when somebody asks, once, whatever happens in between.
#include <gmock/gmock.h>

#include "tests/dispatch/desk.h"

namespace detent::test {

namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Retry : public Desk {
 protected:
  /// Why it is not; empty: it is.
  std::string retry(const std::string& id) {
    const json::value answer = ask({{"command", "task.retry"}, {"id", id}});
    return answer.is_string() ? std::string(answer.as_string()) : std::string();
  }
};

}  // namespace

TEST_F(Retry, AFailedTaskHasItsNextAttemptUnderTheNextEpoch) {
  const std::string id = ended(FAILED);
  EXPECT_EQ(retry(id), "");
  EXPECT_EQ(state(id), "queued");
  EXPECT_THAT(inbox(), IsEmpty());
  report(1);
  ASSERT_THAT(assigned, SizeIs(2));
  EXPECT_EQ(assigned[1].epoch(), 2u);
  end(SUCCEEDED, "at last");
  EXPECT_EQ(state(id), "succeeded");
  ASSERT_THAT(inbox(), SizeIs(1));
  EXPECT_EQ(inbox()[0].at("result"), "at last");
}

TEST_F(Retry, WhatSucceededOrIsNotOverIsRefusedWithTheReason) {
  const std::string good = ended(SUCCEEDED), queued = submit("it waits");
  EXPECT_THAT(retry(good), HasSubstr("has succeeded"));
  EXPECT_THAT(retry(queued), HasSubstr("is queued"));
  EXPECT_THAT(retry("01ARZ3NDEKTSV4RRFFQ69G5FAV"), HasSubstr("no task"));
}

TEST_F(Retry, SurvivesARestartWithAndWithoutASnapshot) {
  for (const bool snapshot : {false, true}) {
    const std::string id = ended(FAILED);
    EXPECT_EQ(retry(id), "");
    if (snapshot) {
      host->want_snapshot();
      core().cancel(*Ulid::parse(submit("more")), now);
      steps();
    }
    crash();
    EXPECT_EQ(state(id), "queued") << snapshot;
    report(1);
    EXPECT_EQ(assigned.back().epoch(), 2u);
    end(SUCCEEDED);
  }
}

TEST_F(Retry, ACancelledTaskIsNotCancelledAnyMore) {
  const std::string id = submit("the task");
  EXPECT_TRUE(ask({{"command", "task.cancel"}, {"id", id}}).is_object());
  EXPECT_EQ(retry(id), "");
  report(1);
  EXPECT_EQ(state(id), "running");
  end(SUCCEEDED);
  EXPECT_EQ(state(id), "succeeded");
}

TEST_F(Retry, ATaskIsRetriedAfterWhatItComesAfter) {
  const std::string first = ended(FAILED), second = submit("then", {first});
  EXPECT_EQ(state(second), "failed");
  EXPECT_THAT(retry(second), HasSubstr("retry that one first"));
  EXPECT_EQ(retry(first), "");
  EXPECT_EQ(retry(second), "");
  EXPECT_EQ(state(second), "queued");
  report(1);
  end(SUCCEEDED);
  report(1);
  EXPECT_EQ(state(second), "running");
}

TEST_F(Retry, AMarkOfTheEarlierEndDoesNotHideTheLaterOne) {
  const std::string id = ended(FAILED);
  const json::value read{{"id", id}, {"end", inbox()[0].at("end")}};
  EXPECT_EQ(retry(id), "");
  report(1);
  end(FAILED);
  EXPECT_EQ(ask({{"command", "inbox.read"}, {"read", json::array{read}}}).at("marked"), 0);
  EXPECT_THAT(inbox(), SizeIs(1));
}

TEST_F(Retry, AnEndThatTheBrokerHearsOfTooLateDoesNotCountAsToldOfTheNext) {
  const std::string text = ended(FAILED);
  const Ulid id = *Ulid::parse(text);
  const uint32_t earlier = core().queue().find(id)->last->number;
  EXPECT_EQ(retry(text), "");
  core().told(id, earlier);
  report(1);
  end(FAILED);
  core().told(id, earlier);
  EXPECT_TRUE(core().untold().contains(id));
  core().told(id, earlier + 1);
  EXPECT_FALSE(core().untold().contains(id));
}

}  // namespace detent::test
