// A Courier with a broker and a platform played by the test: it acknowledges begun parts, keeps what it was told, and
// hands each request to a script.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "consumers/courier.h"
#include "tests/consumers/stories.h"

namespace detent::testing {

inline http::Answer reply(int status, const std::string& body, http::Headers headers = {}) {
  return http::Response{status, std::move(headers), body};
}
inline http::Answer failure(http::Sent sent, const std::string& what = "connection reset") {
  return http::SendFailure{{what, 104}, sent};
}

class Desk {
 public:
  explicit Desk(consumers::Channel& channel, const std::string& name = "discord.alerts")
      : name_(name), courier({.channel = name}, channel) {
    courier.opened(now);
    collect();
  }

  void deliver(const Signal& signal, const std::vector<Part>& parts = {}, uint32_t attempt = 1) {
    Deliver frame;
    frame.set_channel(name_);
    *frame.add_deliveries() = delivery(signal, ++number_);
    frame.mutable_deliveries(0)->set_attempt(attempt);
    for (const Part& part : parts) *frame.mutable_deliveries(0)->add_parts() = part;
    courier.received(Frame::kDeliver, frame.SerializeAsString(), now);
    collect();
  }

  /// Gives the next request its answer; false where none is in flight.
  bool answer(const http::Answer& answer) {
    if (!request) return false;
    const uint64_t number = request->number;
    request.reset();
    courier.answered(number, answer, now);
    collect();
    return true;
  }

  /// Answers all requests by the script until nothing is in flight.
  void run(const std::function<http::Answer(const http::Request&)>& platform, int most = 100) {
    for (int i = 0; i < most && request; ++i) answer(platform(request->request));
  }

  void pass(Millis span) {
    now.mono += span;
    now.wall += span;
    courier.tick(now);
    collect();
  }

  /// Takes over what the courier wants; acknowledges begun parts where `acknowledging`.
  void collect() {
    while (!courier.frames.empty() || courier.request) {
      if (courier.request) {
        requests.push_back(courier.request->request);
        request = std::move(courier.request);
        courier.request.reset();
      }
      for (consumers::Courier::Frame& frame : std::exchange(courier.frames, {})) take(frame);
    }
  }

  void take(const consumers::Courier::Frame& frame) {
    if (frame.field == Frame::kBegun) {
      begun.emplace_back().ParseFromString(frame.body);
      if (acknowledging && !begun.back().part().done()) acknowledge();
    } else if (frame.field == Frame::kSettle) {
      Settle settle;
      settle.ParseFromString(frame.body);
      for (const Settled& one : settle.settled()) settled.push_back(one);
      if (settle.has_circuit()) circuits.push_back(settle.circuit());
    } else if (frame.field == Frame::kCredit) {
      credits.emplace_back().ParseFromString(frame.body);
    }
  }

  void acknowledge() {
    BegunDurable durable;
    durable.set_channel(name_);
    durable.set_delivery(begun.back().delivery());
    durable.set_part(begun.back().part().part());
    courier.received(Frame::kBegunDurable, durable.SerializeAsString(), now);
  }

  Now now{Millis{1'000'000}, Millis{kWall}};
  bool acknowledging = true;
  std::optional<consumers::Courier::Sending> request;
  std::vector<http::Request> requests;
  std::vector<Begun> begun;
  std::vector<Settled> settled;
  std::vector<Circuit> circuits;
  std::vector<Credit> credits;

 private:
  std::string name_;
  uint64_t number_ = 0;

 public:
  consumers::Courier courier;
};

}  // namespace detent::testing
