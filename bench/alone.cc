#include "base/result.h"
#include "bench/figures.h"
#include "bench/measurements.h"
#include "bench/signals.h"
#include "bus/connection.h"
#include "producers/publisher.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent::bench {

namespace {

std::vector<double> on_a_bare_connection(const std::string& endpoint, uint64_t count) {
  Connection connection(endpoint, {.name = "bench", .role = Link::Role::Producer, .instance = random_instance()});
  uint64_t acknowledged = 0;
  const auto on_event = [&](const Link::Event& event, Now) {
    if (event.kind == Link::Event::Lost || event.kind == Link::Event::Refused)
      throw Failure("the session ended: " + event.text);
    if (event.kind != Link::Event::Frame || event.field != Frame::kPublished) return;
    Published published;
    if (!published.ParseFromArray(event.body.data(), static_cast<int>(event.body.size())) ||
        published.refusals_size() || published.resume()) {
      throw Failure("the broker refused a signal: " + published.text());
    }
    acknowledged = published.upto();
  };
  const auto patience = Clock::now() + std::chrono::seconds{60};
  while (!connection.link().is_open()) {
    connection.turn(Millis{100}, on_event);
    if (Clock::now() > patience) throw Failure("no broker answers at " + endpoint);
  }
  Signals signals;
  std::vector<double> waits;
  waits.reserve(count);
  std::string body;
  for (uint64_t number = 1; number <= count; ++number) {
    body.clear();
    wire::number(body, Publish::kFirstFieldNumber, number);
    wire::bytes(body, Publish::kSignalsFieldNumber, signals.next());
    const auto begin = Clock::now();
    connection.link().send(Frame::kPublish, body);
    while (acknowledged < number) connection.turn(Millis{1000}, on_event);
    waits.push_back(micros_since(begin));
  }
  return waits;
}

std::vector<double> through_the_library(const std::string& endpoint, uint64_t count) {
  Publisher publisher({.endpoint = endpoint, .name = "bench"});
  Signals signals;
  std::vector<double> waits;
  waits.reserve(count);
  for (uint64_t i = 0; i <= count; ++i) {
    const auto begin = Clock::now();
    if (auto done = publisher.publish_and_wait(signals.next(), Millis{60'000}); !done) throw Failure(done.error().what);
    if (i > 0) waits.push_back(micros_since(begin));  // the first one also waits for the connection
  }
  return waits;
}

}  // namespace

void alone(const std::string& endpoint, uint64_t count) {
  Figures figures;
  figures.spread("ack", on_a_bare_connection(endpoint, count));
  figures.spread("library", through_the_library(endpoint, count));
  figures.print();
}

}  // namespace detent::bench
