#include "dispatch/uplink.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "proto/wire.pb.h"

namespace detent {

namespace {
// What the broker may have handed over and we have not settled.
constexpr uint32_t kCreditCount = 256;
constexpr uint64_t kCreditBytes = 32 << 20;
}  // namespace

Uplink::Uplink(uint64_t instance, uint64_t seed)
    : consumer_(
          {.name = "detent-dispatch", .role = Link::Role::Consumer, .channels = {"dispatch"}, .instance = instance},
          seed),
      // An instance of its own: with the same one the two would take each other's place at the broker.
      producer_({.name = "detent-dispatch", .role = Link::Role::Producer, .instance = instance + 2}, seed + 1) {}

void Uplink::receive(std::string_view peer, std::string_view message, Now now) {
  if (peer == kConsumer) {
    on_consumer(consumer_.receive(message, now));
  } else {
    on_producer(producer_.receive(message, now), now);
  }
}

void Uplink::tick(Now now) {
  on_consumer(consumer_.tick(now));
  on_producer(producer_.tick(now), now);
}

Millis Uplink::deadline() const {
  const Millis links = std::min(consumer_.deadline(), producer_.deadline());
  return producer_.is_open() && publisher_.retry_at() ? std::min(links, *publisher_.retry_at()) : links;
}

// ---- tasks come in

void Uplink::on_consumer(const Link::Event& event) {
  switch (event.kind) {
    case Link::Event::Opened: {
      spdlog::info("connected to the broker");
      refused_.clear();
      ++session_;
      Settle nothing;
      return say(nothing, kCreditCount, kCreditBytes);
    }
    case Link::Event::Lost:
      spdlog::warn("connection to the broker lost, reconnecting");
      return;
    case Link::Event::Refused:
      if (refused_ != event.text) spdlog::warn("the broker refuses the dispatcher: {}", event.text);
      refused_ = event.text;
      return;
    case Link::Event::Frame:
      break;
    case Link::Event::None:
      return;
  }
  if (event.field != Frame::kDeliver) return;
  Deliver deliver;
  if (!deliver.ParseFromArray(event.body.data(), static_cast<int>(event.body.size()))) {
    spdlog::error("a Deliver from the broker cannot be read");
    return;
  }
  for (auto& delivery : *deliver.mutable_deliveries()) {
    for (auto& signal : *delivery.mutable_signals())
      delivered.push_back({session_, delivery.id(), std::move(*signal.mutable_signal())});
  }
}

/// With as much credit as that gives back.
void Uplink::say(const Settle& settle, uint32_t count, uint64_t bytes) {
  if (!consumer_.is_open()) return;
  if (settle.settled_size() || settle.delivered_size()) {
    Settle out = settle;
    out.set_channel("dispatch");
    consumer_.send(Frame::kSettle, out.SerializeAsString());
  }
  if (draining_) return;
  Credit credit;
  credit.set_channel("dispatch");
  credit.set_count(count);
  credit.set_bytes(bytes);
  consumer_.send(Frame::kCredit, credit.SerializeAsString());
}

void Uplink::settle(const std::vector<Delivered>& deliveries) {
  Settle settle;
  uint64_t bytes = 0;
  for (const auto& one : deliveries) {
    if (one.session != session_) continue;  // it is delivered again, and then known
    settle.add_delivered(one.delivery);
    bytes += one.signal.size();
  }
  if (settle.delivered_size()) say(settle, static_cast<uint32_t>(settle.delivered_size()), bytes);
}

void Uplink::refuse(const Delivered& delivery, std::string_view cause) {
  if (delivery.session != session_) return;
  Settle settle;
  auto& one = *settle.add_settled();
  one.set_delivery(delivery.delivery);
  one.set_outcome(GIVEN_UP);
  one.set_cause(std::string(cause));
  say(settle, 1, delivery.signal.size());
}

void Uplink::put_off(const Delivered& delivery, Millis delay) {
  if (delivery.session != session_) return;
  Settle settle;
  auto& one = *settle.add_settled();
  one.set_delivery(delivery.delivery);
  one.set_outcome(NOT_NOW);
  one.set_delay_ms(static_cast<uint32_t>(delay.count()));
  say(settle, 1, delivery.signal.size());
}

// ---- what became of them goes out

void Uplink::on_producer(const Link::Event& event, Now now) {
  if (event.kind == Link::Event::Opened) publisher_.opened();
  if (event.kind == Link::Event::Lost) publisher_.lost();
  if (event.kind != Link::Event::Frame || event.field != Frame::kPublished) return;
  for (const auto& refusal : publisher_.published(event.body, now).refusals)
    spdlog::error("the broker refuses a signal of the dispatcher: {}", refusal.text);
}

void Uplink::publish_frames(Now now) {
  if (!producer_.is_open()) return;
  while (const auto frame = publisher_.next_frame(now)) {
    std::string& message = producer_.begin(Frame::kPublish, frame->size());
    message.append(frame->head).append(frame->signals);
  }
}

}  // namespace detent
