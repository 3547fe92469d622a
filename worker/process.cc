#include "worker/process.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>

#include "base/version.h"
#include "bus/connection.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"
#include "worker/config.h"
#include "worker/core.h"
#include "worker/runs.h"

namespace detent {

namespace {

constexpr Millis kTurn{1'000};
constexpr Millis kLeaveAtMost{2'000};

WorkerCore::Options options_of(const WorkerConfig& config) {
  WorkerCore::Options options;
  for (const auto& entry : config.runners) options.runners.push_back(entry.first);
  for (const std::string& label : config.labels) {
    const auto sign = label.find('=');
    options.labels.emplace_back(label.substr(0, sign), sign == std::string::npos ? "" : label.substr(sign + 1));
  }
  options.concurrency = config.concurrency;
  options.version = std::string("detent-worker ") + kVersion;
  return options;
}

Isolation probe(const WorkerConfig& config) {
  auto isolation = Isolation::probe(config);
  if (!isolation) throw Failure(isolation.error().what);
  isolation->weak() ? spdlog::warn("{}", isolation->summary()) : spdlog::info("{}", isolation->summary());
  if (const auto warning = does_not_fit(config, memory_of_this_machine())) spdlog::warn("{}", *warning);
  return std::move(*isolation);
}

}  // namespace

class WorkerProcess::Loop {
 public:
  Loop(const WorkerConfig& config, Disk& disk)
      : config_(config),
        core_(options_of(config)),
        connection_(config.connect, {.name = config.name, .role = Link::Role::Worker, .instance = random_instance()}),
        runs_(config, probe(config), disk, [this] { connection_.wake(); }) {
    for (auto& [attempt, encoded] : runs_.kept()) core_.restore(attempt, std::move(encoded));
  }

  void run() {
    while (!left_) {
      connection_.turn(patience(), [this](const Link::Event& event, Now now) { on_event(event, now); });
      const Now now = system_now();
      take_events(now);
      core_.tick(now);
      obey_stops(now);
      hand_on();
      leave(now);
    }
  }

  void stop() {
    ++stops_;
    connection_.wake();
  }

 private:
  Millis patience() const {
    const Millis next = bye_sent_ ? std::min(core_.deadline(), leave_until_) : core_.deadline();
    return next == Millis::max() ? kTurn : std::clamp(next - system_now().mono, Millis{0}, kTurn);
  }

  void on_event(const Link::Event& event, Now now) {
    switch (event.kind) {
      case Link::Event::Opened:
        spdlog::info("connected to the dispatcher at {}", config_.connect);
        refused_.clear();
        core_.opened(now);
        break;
      case Link::Event::Lost:
        spdlog::warn("connection to the dispatcher at {} lost, reconnecting; what runs goes on", config_.connect);
        core_.lost();
        break;
      case Link::Event::Refused:
        if (refused_ != event.text) spdlog::warn("the dispatcher at {} refuses: {}", config_.connect, event.text);
        refused_ = event.text;
        break;
      case Link::Event::Frame:
        if (event.field == Frame::kByeDone) left_ = true;
        core_.received(event.field, event.body, now);
        break;
      case Link::Event::None:
        break;
    }
    hand_on();  // what was said before a session ended must not be said into the next one
  }

  void take_events(Now now) {
    for (auto& event : runs_.take()) {
      if (!event.printed.empty()) core_.printed(event.attempt, event.printed);
      if (!event.ended.empty()) core_.ended(event.attempt, std::move(event.ended), now);
    }
  }

  void hand_on() {
    for (auto& start : std::exchange(core_.starts, {})) runs_.start(start.attempt, std::move(start.signal));
    for (auto& stop : std::exchange(core_.stops, {})) runs_.stop(stop.attempt, std::move(stop.why));
    for (const auto& attempt : std::exchange(core_.taken, {})) runs_.forget(attempt);
    for (const auto& frame : std::exchange(core_.frames, {})) {
      if (connection_.link().is_open()) connection_.link().send(frame.field, frame.body);
    }
  }

  void obey_stops(Now now) {
    const int stops = stops_;
    if (stops >= 1 && !std::exchange(draining_, true)) {
      spdlog::info("stopping: waiting for {} attempts; stop once more to cancel them", core_.running());
      core_.drain(now);
    }
    if (stops >= 2 && !std::exchange(cancelling_, true)) core_.cancel_all("its worker was stopped");
  }

  void leave(Now now) {
    if (!draining_ || core_.running()) return;
    // A result that the dispatcher does not take now is kept for the next start.
    if (!connection_.link().is_open() && bye_sent_) left_ = true;
    if (!bye_sent_) {
      if (!connection_.link().is_open()) {
        left_ = true;
        return;
      }
      if (leave_until_ == Millis{0}) leave_until_ = now.mono + kLeaveAtMost;
      if (!core_.idle() && now.mono < leave_until_) return;
      connection_.link().send(Frame::kBye, Bye().SerializeAsString());
      bye_sent_ = true;
      leave_until_ = now.mono + kLeaveAtMost;
    }
    if (now.mono >= leave_until_) left_ = true;
  }

  const WorkerConfig config_;
  WorkerCore core_;
  Connection connection_;
  std::atomic<int> stops_ = 0;
  bool draining_ = false, cancelling_ = false, bye_sent_ = false, left_ = false;
  Millis leave_until_{0};
  std::string refused_;
  Runs runs_;  // last: its thread uses what is above
};

WorkerProcess::WorkerProcess(const Config& config, Disk& disk) {
  const auto& worker = config.of<WorkerConfig>();
  if (worker.runners.empty())
    throw Failure("no runner is configured: a worker runs nothing but what a [runner.NAME] of detent.toml says");
  loop_ = std::make_unique<Loop>(worker, disk);
}
WorkerProcess::~WorkerProcess() = default;
void WorkerProcess::run() { loop_->run(); }
void WorkerProcess::stop() { loop_->stop(); }

}  // namespace detent
