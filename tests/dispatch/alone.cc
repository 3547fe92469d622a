#include "tests/dispatch/alone.h"

#include <algorithm>

namespace detent::test {

Alone::Alone(const std::string& toml, Now now) : now_(now) {
  configure(toml);
  start();
}

Alone::~Alone() = default;

size_t Alone::Socket::receive(size_t count, size_t,
                              const std::function<void(std::string_view, std::span<char>)>& take) {
  size_t got = 0;
  for (size_t i = 0; i < count && !arrived.empty(); ++i) {
    auto [peer, message] = std::move(arrived.front());
    arrived.pop_front();
    got += message.size();
    take(peer, message);
  }
  return got;
}

ServerSocket::Sent Alone::Socket::send(std::string_view peer, std::string_view message) {
  if (alone.sent) alone.sent(peer, message);
  return Sent::Yes;
}

void Alone::configure(const std::string& toml) {
  config_ = parse_config("state = \"/state\"\n" + toml, "detent.toml").value();
}

void Alone::start() {
  executor_ = std::make_unique<SteppedExecutor>();
  dispatcher_ = std::make_unique<Dispatcher>(config_, disk_, 1);
  Host::Options options;
  options.directory = Dispatcher::directory(config_);
  options.journal.segment_bytes = 4096;
  options.journal.spares = 1;
  options.journal.reserve_bytes = 0;
  options.journal.low_water = 0;
  options.journal.seed = 1;
  host_ = std::make_unique<Host>(*dispatcher_, dispatcher_->ids(), socket_, *executor_, disk_, options);
  host_->open(now_).value();
}

void Alone::settle() {
  do {
    host_->turn(now_);
    while (executor_->journal_jobs()) executor_->step_journal();
    while (executor_->chores()) executor_->step_chore();
    CHECK(!executor_->failure(), "the disk of this test does not fail");
  } while (!executor_->idle() || dispatcher_->has_work() || !socket_.arrived.empty());
}

void Alone::pass(Millis span) {
  const Millis end = now_.mono + span;
  for (;;) {
    settle();
    if (now_.mono >= end) return;
    const Millis step = std::min(std::max(host_->deadline() - now_.mono, Millis{1}), end - now_.mono);
    now_.mono += step;
    now_.wall += step;
  }
}

void Alone::stop_and_start(Millis down, const std::string& toml) {
  if (!toml.empty()) configure(toml);
  restart(true, down);
}

void Alone::restart(bool cleanly, Millis down) {
  if (cleanly) {
    host_->stop();
    settle();
    host_->close();
  }
  host_.reset();
  dispatcher_.reset();
  executor_.reset();
  disk_.kill();
  disk_.power_on(Cut::kDrop, 1);
  now_.mono = Millis{5'000};
  now_.wall += down;
  start();
}

}  // namespace detent::test
