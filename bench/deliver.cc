#include <exception>
#include <thread>

#include "base/result.h"
#include "bench/consumer.h"
#include "bench/figures.h"
#include "bench/measurements.h"
#include "bench/signals.h"
#include "producers/publisher.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent::bench {

namespace {
constexpr uint32_t kCredit = 16'384;
constexpr uint64_t kCreditBytes = 16 << 20;
}  // namespace

Consumer::Consumer(const std::string& endpoint, std::string channel)
    : channel_(std::move(channel)),
      connection_(
          endpoint,
          {.name = "bench", .role = Link::Role::Consumer, .channels = {channel_}, .instance = random_instance()}) {}

void Consumer::turn(Millis timeout, const std::function<void(std::string_view)>& seen) {
  connection_.turn(timeout, [&](const Link::Event& event, Now) {
    switch (event.kind) {
      case Link::Event::Opened: {
        Credit credit;
        credit.set_channel(channel_);
        credit.set_count(kCredit);
        credit.set_bytes(kCreditBytes);
        connection_.link().send(Frame::kCredit, credit.SerializeAsString());
        return;
      }
      case Link::Event::Frame:
        if (event.field == Frame::kDeliver) on_deliver(event.body, seen);
        if (event.field == Frame::kByeDone) gone_ = true;
        if (event.field == Frame::kStale) throw Failure("a delivery was taken away");
        return;
      case Link::Event::Lost:
      case Link::Event::Refused:
        throw Failure("the session ended: " + event.text);
      case Link::Event::None:
        return;
    }
  });
}

void Consumer::on_deliver(std::string_view body, const std::function<void(std::string_view)>& seen) {
  Credit credit;
  credit.set_channel(channel_);
  settled_.clear();
  uint32_t count = 0;
  Reader deliver(body);
  while (deliver.next()) {
    if (deliver.field() != Deliver::kDeliveriesFieldNumber) continue;
    Reader delivery(deliver.bytes());
    while (delivery.next()) {
      if (delivery.field() == Delivery::kIdFieldNumber) wire::varint(settled_, delivery.number());
      if (delivery.field() != Delivery::kSignalsFieldNumber) continue;
      Reader signal(delivery.bytes());
      while (signal.next()) {
        if (signal.field() == DeliveredSignal::kSignalFieldNumber) seen(signal.bytes());
      }
    }
    ++count;
  }
  frame_.clear();
  wire::bytes(frame_, Settle::kChannelFieldNumber, channel_);
  wire::bytes(frame_, Settle::kDeliveredFieldNumber, settled_);
  connection_.link().send(Frame::kSettle, frame_);
  credit.set_count(count);
  credit.set_bytes(body.size());
  connection_.link().send(Frame::kCredit, credit.SerializeAsString());
}

void Consumer::bye() {
  connection_.link().send(Frame::kBye, {});
  while (!gone_) turn(Millis{1000}, [](std::string_view) {});
}

void deliver(const std::string& endpoint, const std::string& channel, uint64_t count) {
  Consumer consumer(endpoint, channel);
  while (!consumer.is_open()) consumer.turn(Millis{100}, [](std::string_view) {});
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  std::exception_ptr failed;
  std::jthread producer([&] {
    try {
      const Publisher::Options how{.endpoint = endpoint, .name = "bench"};
      Publisher publisher(how);
      Signals signals;
      for (uint64_t i = 0; i < count; ++i) {
        const auto signal = signals.next();
        while (!publisher.publish(signal)) publisher.wait_for_room(how.limits.memory / 2, Millis{60'000});
      }
      if (!publisher.flush(Millis{60'000})) throw Failure("not all was acknowledged: " + publisher.obstacle());
    } catch (...) {
      failed = std::current_exception();
    }
  });
  uint64_t seen = 0;
  auto last = Clock::now();
  while (seen < count) {
    const uint64_t before = seen;
    consumer.turn(Millis{1000}, [&](std::string_view) { ++seen; });
    if (seen > before) last = Clock::now();
    if (seconds_since(last) > 60) throw Failure("deliveries stopped coming");
  }
  consumer.bye();
  const double took = seconds_since(begin);
  producer.join();
  if (failed) std::rethrow_exception(failed);
  Figures().set("rate", static_cast<double>(count) / took).set("cpu", cpu_seconds() - cpu).print();
}

}  // namespace detent::bench
