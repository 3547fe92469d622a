// A broker in a thread, just enough for a consumer: sessions, credit, begun marks, and redelivery of what was not
// settled.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bus/router_socket.h"
#include "proto/frame.h"
#include "tests/consumers/stories.h"

namespace detent::testing {

class MiniBroker {
 public:
  MiniBroker() {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~MiniBroker() {
    thread_.request_stop();
    router_.wake();
  }

  const std::string& endpoint() const { return endpoint_; }

  void publish(const Signal& signal) {
    {
      const std::lock_guard lock(mutex_);
      Delivery out = delivery(signal, ++numbers_);
      out.set_attempt(0);
      open_[numbers_].delivery = std::move(out);
    }
    router_.wake();
  }

  /// Forgets the session, as a broker that restarts: the consumer has to greet again.
  void forget_session() {
    {
      const std::lock_guard lock(mutex_);
      forget_ = true;
    }
    router_.wake();
  }

  /// False where not `count` deliveries are settled for good within `patience`.
  bool wait_settled(size_t count, Millis patience = Millis{20'000}) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return settled_.size() >= count; });
  }
  bool wait_circuits(size_t count, Millis patience = Millis{20'000}) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return circuits_.size() >= count; });
  }
  std::vector<Settled> settled() {
    const std::lock_guard lock(mutex_);
    return settled_;
  }
  std::vector<Circuit> circuits() {
    const std::lock_guard lock(mutex_);
    return circuits_;
  }
  bool said_bye() {
    const std::lock_guard lock(mutex_);
    return bye_;
  }

 private:
  struct OpenDelivery {
    Delivery delivery;
    Millis not_before{0};
    bool under_way = false;
  };

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      router_.wait(Millis{20});
      router_.receive(1000, 1 << 24, [&](std::string_view peer, std::span<char> message) {
        const std::lock_guard lock(mutex_);
        take(std::string(peer), std::string_view(message.data(), message.size()));
      });
      const std::lock_guard lock(mutex_);
      if (forget_) {
        forget_ = false;
        end_session();
      }
      hand_out();
    }
  }

  void send(uint32_t field, const std::string& body) { router_.send(peer_, seal(session_, ++sent_, field, body)); }

  void end_session() {
    session_ = 0;
    credit_ = 0;
    for (auto& [number, open] : open_) open.under_way = false;
  }

  void take(const std::string& peer, std::string_view message) {
    FrameView frame;
    if (!open_frame(message, frame)) return;
    if (frame.field == Frame::kHello) {
      Hello hello;
      hello.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()));
      end_session();
      channel_ = hello.channels(0);
      peer_ = peer;
      session_ = ++sessions_;
      sent_ = 0;
      Welcome welcome;
      welcome.set_version(kProtocolVersion);
      welcome.set_session(session_);
      welcome.set_ping_ms(500);
      welcome.set_greeting(hello.greeting());
      router_.send(peer_, seal(session_, 0, Frame::kWelcome, welcome.SerializeAsString()));
      return;
    }
    if (frame.session != session_ || session_ == 0) {
      Refused refused;
      refused.set_reason(NO_SESSION);
      router_.send(peer, seal(frame.session, 0, Frame::kRefused, refused.SerializeAsString()));
      return;
    }
    const std::string body(frame.body);
    switch (frame.field) {
      case Frame::kPing:
        return send(Frame::kPong, "");
      case Frame::kBye:
        bye_ = true;
        return send(Frame::kByeDone, "");
      case Frame::kCredit: {
        Credit credit;
        credit.ParseFromString(body);
        credit_ += credit.count();
        return;
      }
      case Frame::kBegun:
        return begun(body);
      case Frame::kSettle:
        return settle(body);
      default:
        return;
    }
  }

  void learn(uint64_t number, const Part& part) {
    const auto open = open_.find(number);
    if (open == open_.end()) return;
    auto* parts = open->second.delivery.mutable_parts();
    for (Part& known : *parts) {
      if (known.part() == part.part()) {
        known = part;
        return;
      }
    }
    *parts->Add() = part;
  }

  void begun(const std::string& body) {
    Begun begun;
    begun.ParseFromString(body);
    learn(begun.delivery(), begun.part());
    if (begun.part().done()) return;
    BegunDurable durable;
    durable.set_channel(begun.channel());
    durable.set_delivery(begun.delivery());
    durable.set_part(begun.part().part());
    send(Frame::kBegunDurable, durable.SerializeAsString());
  }

  void settle(const std::string& body) {
    Settle settle;
    settle.ParseFromString(body);
    for (const Settled& one : settle.settled()) {
      const auto open = open_.find(one.delivery());
      if (open == open_.end()) continue;
      if (one.outcome() == NOT_NOW) {
        for (const Part& part : one.parts()) learn(one.delivery(), part);
        open->second.under_way = false;
        open->second.not_before = system_now().mono + Millis{one.delay_ms() ? one.delay_ms() : 50};
      } else {
        settled_.push_back(one);
        open_.erase(open);
      }
    }
    if (settle.has_circuit()) {
      circuits_.push_back(settle.circuit());
      circuit_open_ = settle.circuit().open();
    }
    changed_.notify_all();
  }

  void hand_out() {
    if (!session_ || circuit_open_) return;
    const Millis now = system_now().mono;
    for (auto& [number, open] : open_) {
      if (credit_ == 0) return;
      if (open.under_way || open.not_before > now) continue;
      open.under_way = true;
      open.delivery.set_attempt(open.delivery.attempt() + 1);
      --credit_;
      Deliver deliver;
      deliver.set_channel(channel_);
      *deliver.add_deliveries() = open.delivery;
      send(Frame::kDeliver, deliver.SerializeAsString());
    }
  }

  RouterSocket router_{"tcp://127.0.0.1:0"};
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::string endpoint_ = router_.endpoint();  // before the thread starts, which alone speaks to the socket
  std::string peer_, channel_;
  uint64_t session_ = 0, sessions_ = 0, sent_ = 0, numbers_ = 0;
  uint32_t credit_ = 0;
  bool bye_ = false, forget_ = false, circuit_open_ = false;
  std::map<uint64_t, OpenDelivery> open_;
  std::vector<Settled> settled_;
  std::vector<Circuit> circuits_;
  std::jthread thread_;
};

}  // namespace detent::testing
