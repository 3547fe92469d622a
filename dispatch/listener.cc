#include "dispatch/listener.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proto/signal.pb.h"
#include "proto/signal_validator.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

constexpr int64_t kLongestInterval = 400 * 86'400;  // seconds; no Millis overflows

std::optional<Millis> interval_of(const SignalHeader& head) {
  Heartbeat beat;
  if (head.type != "heartbeat.ok" || !beat.ParseFromArray(head.payload.data(), static_cast<int>(head.payload.size())) ||
      beat.interval_s() <= 0)
    return std::nullopt;
  return std::chrono::seconds{std::min(beat.interval_s(), kLongestInterval)};
}

}  // namespace

Listener::Listener(std::vector<std::string> sources, uint64_t instance, uint64_t seed)
    : sources_(std::move(sources)),
      link_({.name = "detent-dispatch", .role = Link::Role::Admin, .instance = instance}, seed) {}

void Listener::receive(std::string_view message, Now now) { on(link_.receive(message, now)); }

void Listener::tick(Now now) { on(link_.tick(now)); }

void Listener::on(const Link::Event& event) {
  if (event.kind == Link::Event::Lost) listening_ = false;
  if (event.kind == Link::Event::Opened) {
    Tail tail;
    tail.set_type("heartbeat.ok");
    for (const std::string& source : sources_) tail.add_also_from(source);
    link_.send(Frame::kTail, tail.SerializeAsString());
    listening_ = missed_ = true;
  }
  if (event.kind != Link::Event::Frame || event.field != Frame::kTailed) return;
  Tailed tailed;
  if (!tailed.ParseFromArray(event.body.data(), static_cast<int>(event.body.size()))) {
    spdlog::error("a Tailed from the broker cannot be read");
    missed_ = true;
    return;
  }
  missed_ |= tailed.missed() > 0;
  for (const auto& signal : tailed.signals()) {
    const SignalHeader head = read_header(signal.signal());
    heard.push_back({std::string(head.source), interval_of(head)});
  }
}

}  // namespace detent
