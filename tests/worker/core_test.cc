#include "worker/core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/task.pb.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class WorkerCoreTest : public testing::Test {
 protected:
  WorkerCoreTest() { core.opened(now); }

  AttemptKey attempt(uint32_t epoch = 1) {
    AttemptKey key;
    key.task.bytes.fill(7);
    key.epoch = epoch;
    return key;
  }

  void pass(Millis span) {
    now.mono += span;
    core.tick(now);
  }

  void assign(const AttemptKey& key) {
    Assignment message;
    message.mutable_attempt()->set_task(std::string(key.task.view()));
    message.mutable_attempt()->set_epoch(key.epoch);
    message.set_signal("the task");
    core.received(Frame::kAssignment, message.SerializeAsString(), now);
  }

  /// The dispatcher's answer to the last report: all that is in it goes on.
  void renew() {
    WorkerReport report;
    for (const auto& frame : core.frames) {
      if (frame.field == Frame::kWorkerReport) report.ParseFromString(frame.body);
    }
    Leases leases;
    leases.set_lease_ms(60'000);
    leases.set_renew_ms(10'000);
    leases.set_report(report.report());
    for (const auto& running : report.running()) *leases.add_renewed() = running.attempt();
    core.received(Frame::kLeases, leases.SerializeAsString(), now);
  }

  std::vector<uint32_t> said() {
    std::vector<uint32_t> fields;
    for (const auto& frame : std::exchange(core.frames, {})) fields.push_back(frame.field);
    return fields;
  }

  Now now{Millis{1000}, Millis{0}};
  WorkerCore core{{.runners = {"shell"}, .concurrency = 2}};
};

TEST_F(WorkerCoreTest, AnAttemptBeginsOnlyOnceItsLeaseIsRenewed) {
  assign(attempt());
  EXPECT_THAT(core.starts, IsEmpty());
  renew();
  ASSERT_THAT(core.starts, SizeIs(1));
  EXPECT_EQ(core.starts[0].attempt, attempt());
  EXPECT_EQ(core.starts[0].signal, "the task");
  assign(attempt());
  renew();
  EXPECT_THAT(core.starts, SizeIs(1)) << "said twice";
}

TEST_F(WorkerCoreTest, AnAttemptIsStoppedBeforeItsLeaseEnds) {
  assign(attempt());
  renew();
  pass(Millis{49'000});
  EXPECT_THAT(core.stops, IsEmpty());
  pass(Millis{1'000});
  EXPECT_THAT(core.stops, SizeIs(1));
}

TEST_F(WorkerCoreTest, ALeaseRunsFromWhenItsReportWasSent) {
  assign(attempt());
  now.mono += Millis{30'000};  // the answer was slow
  renew();
  pass(Millis{20'000});
  EXPECT_THAT(core.stops, SizeIs(1));
}

TEST_F(WorkerCoreTest, AnEndIsSaidInEachSessionUntilItIsTaken) {
  assign(attempt());
  renew();
  said();
  core.ended(attempt(), "how it ended", now);
  EXPECT_THAT(said(), ElementsAre(Frame::kAttemptEnded, Frame::kWorkerReport));
  core.lost();
  core.opened(now);
  EXPECT_THAT(said(), ElementsAre(Frame::kWorkerReport, Frame::kAttemptEnded));
  AttemptTaken taken;
  taken.mutable_attempt()->set_task(std::string(attempt().task.view()));
  taken.mutable_attempt()->set_epoch(1);
  core.received(Frame::kAttemptTaken, taken.SerializeAsString(), now);
  EXPECT_THAT(core.taken, ElementsAre(attempt()));
  EXPECT_TRUE(core.idle());
}

TEST_F(WorkerCoreTest, ALaterAttemptOfATaskWaitsForTheEndOfTheOneBefore) {
  assign(attempt(1));
  renew();
  assign(attempt(2));
  renew();
  EXPECT_THAT(core.starts, SizeIs(1));
  core.ended(attempt(1), "stopped", now);
  renew();
  ASSERT_THAT(core.starts, SizeIs(2));
  EXPECT_EQ(core.starts[1].attempt, attempt(2));
}

TEST_F(WorkerCoreTest, WhatItIsAssignedWhileItDrainsGoesBackUnbegun) {
  core.drain(now);
  said();
  assign(attempt());
  EXPECT_THAT(core.starts, IsEmpty());
  EXPECT_THAT(said(), ElementsAre(Frame::kAttemptEnded, Frame::kWorkerReport));
}

}  // namespace

}  // namespace detent
