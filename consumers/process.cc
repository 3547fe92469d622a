#include "consumers/process.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "bus/connection.h"
#include "consumers/courier.h"
#include "consumers/sender.h"
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

}  // namespace

class Process::Loop {
 public:
  Loop(const std::string& broker, const std::string& name, std::vector<Served> served)
      : connection_(
            broker,
            {.name = name, .role = Link::Role::Consumer, .channels = names(served), .instance = random_instance()}) {
    lines_.reserve(served.size());
    for (size_t i = 0; i < served.size(); ++i) {
      auto line = std::make_unique<Line>();
      line->served = std::move(served[i]);
      line->courier = std::make_unique<Courier>(Courier::Options{.channel = line->served.name}, *line->served.channel);
      line->sender = std::make_unique<Sender>([this, i](uint64_t number, http::Answer answer) {
        {
          const std::lock_guard lock(mutex_);
          answers_.push_back({i, number, std::move(answer)});
        }
        connection_.wake();
      });
      lines_.push_back(std::move(line));
    }
  }

  void run() {
    while (!left_) {
      connection_.turn(patience(), [this](const Link::Event& event, Now now) { on_event(event, now); });
      const Now now = system_now();
      take_answers(now);
      look_at_tokens(now);
      for (auto& line : lines_) line->courier->tick(now);
      if (stopping_.load() && drain_until_ == kNotYet) drain(now);
      for (auto& line : lines_) hand_on(*line);
      leave(now);
    }
  }

  void stop() {
    stopping_ = true;
    connection_.wake();
  }

 private:
  static constexpr Millis kNotYet{INT64_MAX / 4};

  struct Line {
    Served served;
    std::unique_ptr<Courier> courier;
    std::unique_ptr<Sender> sender;
  };
  struct Answered {
    size_t line;
    uint64_t number;
    http::Answer answer;
  };

  static std::vector<std::string> names(const std::vector<Served>& served) {
    std::vector<std::string> out;
    for (const Served& one : served) out.push_back(one.name);
    return out;
  }

  Millis patience() const {
    const Millis now = system_now().mono;
    Millis next = next_token_look_;
    for (const auto& line : lines_) next = std::min(next, line->courier->deadline());
    if (bye_sent_) next = std::min(next, leave_until_);
    if (drain_until_ != kNotYet && !bye_sent_) next = std::min(next, drain_until_);
    return std::clamp(next - now, Millis{0}, kTokenEvery);
  }

  void on_event(const Link::Event& event, Now now) {
    switch (event.kind) {
      case Link::Event::Opened:
        spdlog::info("connected to the broker");
        refused_.clear();
        for (auto& line : lines_) line->courier->opened(now);
        break;
      case Link::Event::Lost:
        spdlog::warn("the broker is gone, asking again");
        for (auto& line : lines_) line->courier->lost();
        break;
      case Link::Event::Refused:
        if (refused_ != event.text) spdlog::warn("the broker refuses us: {}", event.text);
        refused_ = event.text;
        break;
      case Link::Event::Frame:
        if (event.field == Frame::kByeDone) {
          left_ = true;
          break;
        }
        for (auto& line : lines_) {
          if (line->served.name == channel_of(event.body)) line->courier->received(event.field, event.body, now);
        }
        break;
      case Link::Event::None:
        break;
    }
    // What was sent before a session ended must not be sent into the next one.
    for (auto& line : lines_) hand_on(*line);
  }

  void hand_on(Line& line) {
    Courier& courier = *line.courier;
    for (const Courier::Frame& frame : courier.frames) {
      if (connection_.link().is_open()) connection_.link().send(frame.field, frame.body);
    }
    courier.frames.clear();
    for (const std::string& text : courier.said) spdlog::warn("{}", text);
    courier.said.clear();
    if (courier.request) line.sender->post(std::move(*courier.request));
    courier.request.reset();
  }

  void take_answers(Now now) {
    std::vector<Answered> answers;
    {
      const std::lock_guard lock(mutex_);
      answers.swap(answers_);
    }
    for (Answered& one : answers) {
      lines_[one.line]->courier->answered(one.number, one.answer, now);
      hand_on(*lines_[one.line]);
    }
  }

  void look_at_tokens(Now now) {
    if (now.mono < next_token_look_) return;
    next_token_look_ = now.mono + kTokenEvery;
    std::vector<const Secret*> changed;
    for (auto& line : lines_) {
      const Secret* secret = line->served.secret.get();
      if (std::find(changed.begin(), changed.end(), secret) == changed.end()) {
        const auto result = line->served.secret->refresh();
        if (!result && token_trouble_ != result.error().what) {
          token_trouble_ = result.error().what;
          spdlog::warn("{}", token_trouble_);
        }
        if (!result || !*result) continue;
        changed.push_back(secret);
      }
      line->courier->token_changed(now);
      hand_on(*line);
    }
  }

  void drain(Now now) {
    spdlog::info("stopping: finishing what is under way");
    drain_until_ = now.mono + kDrainAtMost;
    for (auto& line : lines_) line->courier->drain();
  }

  void leave(Now now) {
    if (drain_until_ == kNotYet) return;
    const bool idle = std::all_of(lines_.begin(), lines_.end(), [](const auto& line) { return line->courier->idle(); });
    if (!bye_sent_ && (idle || now.mono >= drain_until_)) {
      if (!connection_.link().is_open()) {
        left_ = true;
        return;
      }
      if (!idle) {
        spdlog::warn("a request did not end within {}: it is broken off", roughly(kDrainAtMost));
        for (auto& line : lines_) line->sender->interrupt();
      }
      connection_.link().send(Frame::kBye, Bye().SerializeAsString());
      bye_sent_ = true;
      leave_until_ = now.mono + kLeaveAtMost;
    }
    if (bye_sent_ && (now.mono >= leave_until_ || !connection_.link().is_open())) left_ = true;
  }

  Connection connection_;
  std::mutex mutex_;
  std::vector<Answered> answers_;
  std::atomic<bool> stopping_{false};
  bool bye_sent_ = false, left_ = false;
  Millis drain_until_ = kNotYet, leave_until_ = kNotYet;
  Millis next_token_look_{0};
  std::string refused_, token_trouble_;
  std::vector<std::unique_ptr<Line>> lines_;  // last: their senders use what is above
};

Process::Process(const std::string& broker, const std::string& name, std::vector<Served> served)
    : loop_(std::make_unique<Loop>(broker, name, std::move(served))) {}
Process::~Process() = default;
void Process::run() { loop_->run(); }
void Process::stop() { loop_->stop(); }

int serve(const std::string& broker, const std::string& name, std::vector<Served> served) {
  // Signals are taken by a thread that waits for them, so that no handler runs in the middle of anything.
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&wanted, number);
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  signal(SIGPIPE, SIG_IGN);
  try {
    std::string channels;
    for (const Served& one : served) channels += (channels.empty() ? "" : ", ") + one.name;
    Process process(broker, name, std::move(served));
    std::jthread signals([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const timespec patience{0, 200'000'000};
        if (sigtimedwait(&wanted, nullptr, &patience) > 0) process.stop();
      }
    });
    spdlog::info("serving {} for the broker at {}", channels, broker);
    process.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
  return 0;
}

}  // namespace detent::consumers
