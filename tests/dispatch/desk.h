// The real dispatcher on its real host over a disk in memory, stepped by the test; with somebody who asks it as the
// command line does, and a worker whose attempts end as the test says. There is no broker.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/link.h"
#include "dispatch/dispatcher.h"
#include "host/host.h"
#include "host/stepped_executor.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

namespace json = boost::json;

class Desk : public testing::Test {
 protected:
  Desk() {
    config.state = "state";
    start();
  }

  void start() {
    executor = std::make_unique<SteppedExecutor>();
    dispatcher = std::make_unique<Dispatcher>(config, disk, ++seed_);
    Host::Options options;
    options.directory = Dispatcher::directory(config);
    options.journal = {.segment_bytes = 64 << 10, .spares = 1, .reserve_bytes = 0, .low_water = 0, .seed = seed_};
    host = std::make_unique<Host>(*dispatcher, dispatcher->ids(), socket, *executor, disk, options);
    ASSERT_TRUE(host->open(now));
    client = std::make_unique<Link>(Link::Options{.name = "detent", .role = Link::Role::Admin, .instance = ++seed_}, 1);
    worker = std::make_unique<Link>(Link::Options{.name = "w", .role = Link::Role::Worker, .instance = ++seed_}, 2);
    steps();
    ASSERT_TRUE(client->is_open() && worker->is_open());
  }
  /// Its power goes, and comes back: what was not synced is lost.
  void crash() {
    host.reset();
    dispatcher.reset();
    executor.reset();
    socket = {};
    disk.kill();
    disk.power_on(Cut::kDrop, ++seed_);
    start();
  }

  void steps(int count = 40) {
    for (int i = 0; i < count; ++i) {
      now.mono += Millis{1};
      now.wall += Millis{1};
      if (journal_works) executor->step_journal();
      executor->step_chore();
      host->turn(now);
      for (auto& [peer, message] : std::exchange(socket.sent, {})) {
        if (peer == "client") take(client->receive(message, now));
        if (peer == "worker") take(worker->receive(message, now));
      }
      for (auto* link : {client.get(), worker.get()}) {
        (void)link->tick(now);
        for (auto& message : std::exchange(link->outgoing, {}))
          socket.arrived.emplace_back(link == client.get() ? "client" : "worker", std::move(message));
      }
    }
  }

  /// What it answers; an error as the text that it is. Null: nothing.
  json::value ask(const json::object& question) {
    AdminRequest request;
    request.set_request(++asked_);
    request.set_json(json::serialize(question));
    client->send(Frame::kAdminRequest, request.SerializeAsString());
    answer_ = nullptr;
    steps();
    return answer_;
  }
  json::array inbox() { return ask({{"command", "inbox"}}).at("tasks").as_array(); }
  std::string state(const std::string& id) {
    return std::string(ask({{"command", "task.show"}, {"id", id}}).at("state").as_string());
  }

  /// The id of a new task.
  std::string submit(const std::string& title, const std::vector<std::string>& after = {}) {
    UlidSource ids(++seed_);
    const Ulid id = ids.next(now.wall);
    TaskRequest request;
    request.set_title(title);
    request.set_runner("r");
    for (const auto& one : after) request.add_after(one);
    Signal signal;
    signal.set_id(std::string(id.view()));
    signal.set_type("task.requested");
    signal.set_payload(request.SerializeAsString());
    EXPECT_TRUE(core().submit(signal.SerializeAsString(), now));
    steps();
    return id.text();
  }
  /// The worker would begin so many.
  void report(uint32_t free, std::vector<AttemptId> running = {}) {
    WorkerReport report;
    report.add_runners("r");
    report.set_free(free);
    report.set_report(++reports_);
    for (auto& attempt : running) *report.add_running()->mutable_attempt() = std::move(attempt);
    worker->send(Frame::kWorkerReport, report.SerializeAsString());
    steps();
  }
  /// The attempt given last ends.
  void end(AttemptState state, const std::string& result = {}) {
    ASSERT_FALSE(assigned.empty());
    AttemptEnded ended;
    *ended.mutable_attempt() = assigned.back();
    ended.set_state(state);
    ended.set_result(result);
    if (state != SUCCEEDED) ended.set_error("it went wrong");
    worker->send(Frame::kAttemptEnded, ended.SerializeAsString());
    steps();
  }
  /// A task that was run once and ended so; its id.
  std::string ended(AttemptState state, const std::string& result = {}) {
    const std::string id = submit("the task");
    report(1);
    end(state, result);
    return id;
  }

  Dispatch& core() { return const_cast<Dispatch&>(dispatcher->core()); }

  struct Socket : ServerSocket {
    std::deque<std::pair<std::string, std::string>> arrived;
    std::vector<std::pair<std::string, std::string>> sent;
    size_t receive(size_t count, size_t, const std::function<void(std::string_view, std::span<char>)>& take) override {
      size_t got = 0;
      for (size_t i = 0; i < count && !arrived.empty(); ++i) {
        auto [peer, message] = std::move(arrived.front());
        arrived.pop_front();
        got += message.size();
        take(peer, message);
      }
      return got;
    }
    Sent send(std::string_view peer, std::string_view message) override {
      sent.emplace_back(peer, message);
      return Sent::Yes;
    }
    bool lost_someone() override { return false; }
  };

  Now now{Millis{1'000'000}, Millis{1'780'000'000'000}};
  MemoryDisk disk;
  Config config;
  std::unique_ptr<SteppedExecutor> executor;
  Socket socket;
  std::unique_ptr<Dispatcher> dispatcher;
  std::unique_ptr<Host> host;
  std::unique_ptr<Link> client, worker;
  std::vector<AttemptId> assigned;  // to the worker
  bool journal_works = true;

 private:
  void take(const Link::Event& event) {
    if (event.kind != Link::Event::Frame) return;
    const auto parse = [&](auto message) {
      message.ParseFromArray(event.body.data(), static_cast<int>(event.body.size()));
      return message;
    };
    if (event.field == Frame::kAssignment) assigned.push_back(parse(Assignment()).attempt());
    if (event.field != Frame::kAdminReply) return;
    const AdminReply reply = parse(AdminReply());
    answer_ = reply.error().empty() ? json::parse(reply.json()) : json::value(reply.error());
  }

  json::value answer_;
  uint64_t seed_ = 1, asked_ = 0, reports_ = 0;
};

}  // namespace detent::test
