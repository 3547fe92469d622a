#include "consumers/process.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>

#include "bus/connection.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent::consumers {
namespace {

constexpr Millis kDrainAtMost{10'000};
constexpr Millis kLeaveAtMost{2'000};
constexpr Millis kTokenEvery{1'000};

/// The channel that a Deliver, BegunDurable or Stale is for: its first field.
std::string_view channel_of(std::string_view body) {
  Reader reader(body);
  while (reader.next()) {
    if (reader.field() == 1 && reader.wire() == 2) return reader.bytes();
  }
  return {};
}

std::vector<std::string> names(const std::vector<Served>& served) {
  std::vector<std::string> out;
  for (const Served& one : served) out.push_back(one.name);
  return out;
}

}  // namespace

class Process::Loop {
 public:
  Loop(const std::string& broker, const std::string& name, std::vector<Served> served)
      : broker_(broker),
        connection_(
            broker,
            {.name = name, .role = Link::Role::Consumer, .channels = names(served), .instance = random_instance()}) {
    for (Served& one : served) {
      agents_.push_back(std::make_unique<Agent>(std::move(one), [this] { connection_.wake(); }));
    }
  }

  void run() {
    while (!left_) {
      connection_.turn(patience(), [this](const Link::Event& event, Now now) { on_event(event, now); });
      const Now now = system_now();
      look_at_tokens(now);
      for (auto& agent : agents_) agent->turn(now);
      if (stopping_.load() && drain_until_ == kNotYet) drain(now);
      hand_on();
      leave(now);
    }
  }

  void stop() {
    stopping_ = true;
    connection_.wake();
  }

 private:
  static constexpr Millis kNotYet{INT64_MAX / 4};

  Millis patience() const {
    const Millis now = system_now().mono;
    Millis next = next_token_look_;
    for (const auto& agent : agents_) next = std::min(next, agent->deadline());
    if (bye_sent_) next = std::min(next, leave_until_);
    if (drain_until_ != kNotYet && !bye_sent_) next = std::min(next, drain_until_);
    return std::clamp(next - now, Millis{0}, kTokenEvery);
  }

  void on_event(const Link::Event& event, Now now) {
    switch (event.kind) {
      case Link::Event::Opened:
        spdlog::info("connected to the broker at {}", broker_);
        refused_.clear();
        for (auto& agent : agents_) agent->opened(now);
        break;
      case Link::Event::Lost:
        spdlog::warn("connection to the broker at {} lost, reconnecting", broker_);
        for (auto& agent : agents_) agent->lost();
        break;
      case Link::Event::Refused:
        if (refused_ != event.text) spdlog::warn("the broker at {} refuses this consumer: {}", broker_, event.text);
        refused_ = event.text;
        break;
      case Link::Event::Frame:
        if (event.field == Frame::kByeDone) {
          left_ = true;
          break;
        }
        for (auto& agent : agents_) {
          if (agent->channel() == channel_of(event.body)) agent->received(event.field, event.body, now);
        }
        break;
      case Link::Event::None:
        break;
    }
    // What was sent before a session ended must not be sent into the next one.
    hand_on();
  }

  void hand_on() {
    for (auto& agent : agents_) {
      agent->hand_on([this](uint32_t field, std::string_view body) {
        if (connection_.link().is_open()) connection_.link().send(field, body);
      });
    }
  }

  /// A token's file may be written anew at any time.
  void look_at_tokens(Now now) {
    if (now.mono < next_token_look_) return;
    next_token_look_ = now.mono + kTokenEvery;
    std::vector<const Secret*> changed;
    for (auto& agent : agents_) {
      const Secret* secret = &agent->secret();
      if (std::find(changed.begin(), changed.end(), secret) == changed.end()) {
        const auto result = agent->secret().refresh();
        if (!result && token_trouble_ != result.error().what) {
          token_trouble_ = result.error().what;
          spdlog::warn("{}: the token read before is used on", token_trouble_);
        }
        if (!result || !*result) continue;
        changed.push_back(secret);
      }
      agent->token_changed(now);
    }
  }

  void drain(Now now) {
    spdlog::info("stopping: finishing what is in flight, {} at most", roughly(kDrainAtMost));
    drain_until_ = now.mono + kDrainAtMost;
    for (auto& agent : agents_) agent->drain();
  }

  void leave(Now now) {
    if (drain_until_ == kNotYet) return;
    const bool idle = std::all_of(agents_.begin(), agents_.end(), [](const auto& agent) { return agent->idle(); });
    if (!bye_sent_ && (idle || now.mono >= drain_until_)) {
      if (!connection_.link().is_open()) {
        left_ = true;
        return;
      }
      if (!idle) {
        spdlog::warn("a request in flight did not end within {}: broken off, the broker delivers it again",
                     roughly(kDrainAtMost));
        for (auto& agent : agents_) agent->interrupt();
      }
      connection_.link().send(Frame::kBye, Bye().SerializeAsString());
      bye_sent_ = true;
      leave_until_ = now.mono + kLeaveAtMost;
    }
    if (bye_sent_ && (now.mono >= leave_until_ || !connection_.link().is_open())) left_ = true;
  }

  std::string broker_;
  Connection connection_;
  std::atomic<bool> stopping_{false};
  bool bye_sent_ = false, left_ = false;
  Millis drain_until_ = kNotYet, leave_until_ = kNotYet;
  Millis next_token_look_{0};
  std::string refused_, token_trouble_;
  std::vector<std::unique_ptr<Agent>> agents_;  // last: their senders use what is above
};

Process::Process(const std::string& broker, const std::string& name, std::vector<Served> served)
    : loop_(std::make_unique<Loop>(broker, name, std::move(served))) {}
Process::~Process() = default;
void Process::run() { loop_->run(); }
void Process::stop() { loop_->stop(); }

}  // namespace detent::consumers
