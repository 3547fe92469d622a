// What a worker's earlier life says late.
#include <gtest/gtest.h>

#include "proto/signal_builder.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"
#include "tests/dispatch/alone.h"

namespace detent::test {

namespace {

using namespace std::chrono_literals;

/// One life of the worker "one".
class Life {
 public:
  Life(Alone& alone, std::string peer, uint64_t instance)
      : alone_(alone),
        peer_(std::move(peer)),
        link_({.name = "one", .role = Link::Role::Worker, .instance = instance}, instance) {}

  void take(std::string_view peer, std::string_view message) {
    if (peer == peer_) link_.receive(message, alone_.now());
  }
  void open() {
    link_.tick(alone_.now());
    flush();
  }
  void report(uint32_t free, const Task* running = nullptr) {
    WorkerReport report;
    report.add_runners("echo");
    report.set_free(free);
    report.set_report(++reports_);
    if (running) {
      auto& attempt = *report.add_running()->mutable_attempt();
      attempt.set_task(std::string(running->id.view()));
      attempt.set_epoch(running->epoch);
    }
    link_.send(Frame::kWorkerReport, report.SerializeAsString());
    flush();
  }
  bool is_open() const { return link_.is_open(); }

 private:
  void flush() {
    for (auto& message : std::exchange(link_.outgoing, {})) alone_.arrive(peer_, std::move(message));
    alone_.pass(10ms);
  }

  Alone& alone_;
  const std::string peer_;
  Link link_;
  uint64_t reports_ = 0;
};

}  // namespace

TEST(Lives, WhatAnEarlierLifeSaysLateTakesNothingFromTheLaterOne) {
  Alone alone("", {1h, Millis{1'795'342'030'000}});
  Life earlier(alone, "one/1", 11), later(alone, "one/2", 22);
  alone.sent = [&](std::string_view peer, std::string_view message) {
    earlier.take(peer, message);
    later.take(peer, message);
  };
  earlier.open();
  earlier.report(2);
  later.open();
  ASSERT_TRUE(earlier.is_open() && later.is_open());

  SignalBuilder builder;
  TaskRequest request;
  request.set_title("a task");
  request.set_runner("echo");
  const auto built = builder.build({.type = "task.requested", .source = "test"}, request, alone.now());
  auto& core = const_cast<Dispatch&>(alone->core());
  ASSERT_TRUE(core.submit(built->signal, alone.now()).has_value());
  alone.pass(1s);
  const Task& task = *core.queue().find(built->id);
  EXPECT_FALSE(task.lease) << "the earlier life is given nothing any more";

  later.report(1);
  ASSERT_TRUE(task.lease);
  EXPECT_EQ(task.lease->instance, 22u);
  later.report(0, &task);
  earlier.report(2);
  EXPECT_EQ(task.epoch, 1u);
  EXPECT_EQ(task.losses, 0u);
  ASSERT_TRUE(task.lease);
  EXPECT_EQ(task.lease->instance, 22u);
}

}  // namespace detent::test
