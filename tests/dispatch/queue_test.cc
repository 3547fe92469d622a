#include "dispatch/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/task.pb.h"

namespace detent {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class QueueTest : public testing::Test {
 protected:
  Ulid id(uint64_t number) {
    Ulid id;
    id.bytes[15] = static_cast<uint8_t>(number);
    return id;
  }

  Task& add(uint64_t number, const std::string& runner = "a", int priority = 0) {
    Task task;
    task.id = id(number);
    task.number = number;
    task.runner = runner;
    task.priority = priority;
    return queue.add(std::move(task));
  }

  void end(Task& task, int state) {
    task.last = End{.state = state};
    queue.finished(task, now);
  }

  uint64_t best(const Queue::Offer& offer) {
    const Task* task = queue.best(offer);
    return task ? task->number : 0;
  }

  Now now{Millis{1000}, Millis{1'000'000}};
  Queue queue{2, true};
};

TEST_F(QueueTest, HigherPrioritiesGoFirstAndThenWhatCameFirst) {
  for (Task* task : {&add(1), &add(2, "a", 5), &add(3, "a", 5), &add(4, "b", 9)}) queue.enqueue(*task, now);
  EXPECT_EQ(best({{"a"}, {}}), 2u);
  queue.began(*queue.find(id(2)));
  EXPECT_EQ(best({{"a"}, {}}), 3u);
  EXPECT_EQ(best({{"a", "b"}, {}}), 4u);
  EXPECT_EQ(best({{"c"}, {}}), 0u);
}

TEST_F(QueueTest, AWorkerWithoutTheLabelsThatATaskNeedsIsNotGivenIt) {
  Task& task = add(1);
  task.needs = {{"gpu", "yes"}};
  queue.enqueue(task, now);
  EXPECT_EQ(best({{"a"}, {}}), 0u);
  EXPECT_EQ(best({{"a"}, {{"disk", "big"}, {"gpu", "yes"}}}), 1u);
}

TEST_F(QueueTest, ATaskWaitsForItsTimeByTheWallAndForItsRetryByTheOtherClock) {
  Task& late = add(1);
  late.not_before = now.wall + Millis{500};
  queue.enqueue(late, now);
  Task& again = add(2);
  again.retry_at = now.mono + Millis{300};
  queue.enqueue(again, now);
  EXPECT_EQ(best({{"a"}, {}}), 0u);
  EXPECT_EQ(queue.deadline(), now.mono + Millis{300});
  queue.tick({now.mono + Millis{300}, now.wall});
  EXPECT_EQ(best({{"a"}, {}}), 2u);
  queue.began(again);
  queue.tick({now.mono, now.wall + Millis{500}});
  EXPECT_EQ(best({{"a"}, {}}), 1u);
}

TEST_F(QueueTest, ATaskRunsOnceWhatItWaitsForHasSucceeded) {
  Task& after = add(2);
  after.after = {id(1)};
  queue.enqueue(after, now);
  EXPECT_EQ(queue.why_waiting(after, now), "waits for " + id(1).text() + ", which is not known");
  Task& before = add(1);
  queue.enqueue(before, now);
  queue.began(before);
  end(before, SUCCEEDED);
  EXPECT_EQ(best({{"a"}, {}}), 2u);
}

TEST_F(QueueTest, ATaskIsBlockedForGoodWhereWhatItWaitsForDidNotSucceed) {
  Task& before = add(1);
  queue.enqueue(before, now);
  Task& after = add(2);
  after.after = {id(1)};
  queue.enqueue(after, now);
  EXPECT_THAT(queue.blocked(), IsEmpty());
  queue.began(before);
  end(before, FAILED);
  EXPECT_THAT(queue.blocked(), ElementsAre(&after));
}

TEST_F(QueueTest, OfTasksThatAreOverTheOldestAreForgottenWithWhatTheyKept) {
  for (uint64_t number = 1; number <= 3; ++number) {
    Task& task = add(number);
    queue.lies_at(task, {number, 64, 10});
    queue.enqueue(task, now);
    queue.began(task);
    end(task, SUCCEEDED);
    queue.filed(task);
    queue.told(task);
    queue.forget();
  }
  EXPECT_EQ(queue.find(id(1)), nullptr);
  EXPECT_NE(queue.find(id(2)), nullptr);
  EXPECT_THAT(queue.segments_in_use(), ElementsAre(2, 3));
}

TEST_F(QueueTest, AnEditedTaskStandsWhereItNowBelongs) {
  Task& first = add(1);
  Task& second = add(2);
  for (Task* task : {&first, &second}) queue.enqueue(*task, now);
  Task asked = second;
  asked.priority = 7;
  asked.runner = "b";
  queue.revise(second, asked, now);
  EXPECT_EQ(best({{"a"}, {}}), 1u);
  EXPECT_EQ(best({{"a", "b"}, {}}), 2u);
  queue.began(second);
  asked.priority = -7;
  queue.revise(second, asked, now);
  EXPECT_EQ(queue.running().size(), 1u) << "it runs on";
  end(second, SUCCEEDED);
  EXPECT_THAT(queue.running(), IsEmpty());
  queue.revise(second, asked, now);
  EXPECT_TRUE(second.is_over()) << "and is not begun again";
}

TEST_F(QueueTest, ATaskIsForgottenOnceBothTheBrokerAndGitHaveHeard) {
  for (uint64_t number = 1; number <= 3; ++number) {
    end(add(number), SUCCEEDED);
    queue.told(*queue.find(id(number)));
  }
  queue.forget();
  EXPECT_EQ(queue.all().size(), 3u) << "git has not";
  for (uint64_t number = 1; number <= 3; ++number) queue.filed(*queue.find(id(number)));
  queue.forget();
  EXPECT_EQ(queue.all().size(), 2u);
  EXPECT_EQ(queue.find(id(1)), nullptr);
}

}  // namespace

}  // namespace detent
