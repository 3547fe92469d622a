#include "producers/publisher.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "bus/connection.h"
#include "proto/wire.pb.h"

namespace detent {

struct Publisher::State {
  explicit State(Options given)
      : options(std::move(given)),
        core(options.limits),
        connection(
            options.endpoint,
            {.name = options.name, .role = Link::Role::Producer, .channels = {}, .instance = random_instance()}) {}

  struct Waiting {
    uint64_t ticket;
    Done done;
  };

  void run(const std::stop_token& stop);
  void send_what_is_ready(Now now);
  void settle(const PublisherCore::Progress& progress);
  void on_event(const Link::Event& event, Now now);

  const Options options;

  mutable std::mutex mutex;  // guards everything down to `moved`
  PublisherCore core;
  std::deque<Waiting> waiting;
  Counts counts;
  bool open = false;
  bool wake_pending = false;
  std::string refusal;
  std::condition_variable moved;

  Connection connection;  // but for wake() the thread's own
  std::jthread thread;
};

void Publisher::State::send_what_is_ready(Now now) {
  const std::lock_guard lock(mutex);
  wake_pending = false;
  if (!connection.link().is_open()) return;
  while (const auto frame = core.next_frame(now)) {
    std::string& message = connection.link().begin(Frame::kPublish, frame->size());
    message.append(frame->head).append(frame->signals);
  }
}

void Publisher::State::settle(const PublisherCore::Progress& progress) {
  std::vector<std::pair<Done, Outcome>> calls;
  {
    const std::lock_guard lock(mutex);
    counts.refused += progress.refusals.size();
    counts.durable = progress.upto - counts.refused;
    auto refusal = progress.refusals.begin();
    while (!waiting.empty() && waiting.front().ticket <= progress.upto) {
      Waiting& first = waiting.front();
      while (refusal != progress.refusals.end() && refusal->ticket < first.ticket) ++refusal;
      const bool refused = refusal != progress.refusals.end() && refusal->ticket == first.ticket;
      calls.emplace_back(std::move(first.done), refused ? Outcome{refusal->reason, refusal->text} : Outcome{});
      waiting.pop_front();
    }
  }
  for (auto& [done, outcome] : calls) done(outcome);
  moved.notify_all();
}

void Publisher::State::on_event(const Link::Event& event, Now now) {
  std::unique_lock lock(mutex);
  switch (event.kind) {
    case Link::Event::Opened:
      open = true;
      refusal.clear();
      core.opened();
      break;
    case Link::Event::Lost:
      open = false;
      core.lost();
      break;
    case Link::Event::Refused:
      refusal = event.text;
      break;
    case Link::Event::Frame:
      if (event.field == Frame::kPublished) {
        const auto progress = core.published(event.body, now);
        lock.unlock();
        settle(progress);
      }
      break;
    case Link::Event::None:
      break;
  }
}

void Publisher::State::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    Now now = system_now();
    send_what_is_ready(now);
    Millis wait{1000};
    {
      const std::lock_guard lock(mutex);
      if (const auto retry = core.retry_at()) wait = std::clamp(*retry - now.mono, Millis{0}, wait);
    }
    connection.turn(wait, [this](const Link::Event& event, Now at) { on_event(event, at); });
  }
  if (connection.link().is_open()) {
    connection.link().send(Frame::kBye, {});
    connection.turn(Millis{0}, [](const Link::Event&, Now) {});
  }
}

Publisher::Publisher(Options options) : state_(std::make_unique<State>(std::move(options))) {
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) {
    try {
      state->run(stop);
    } catch (const std::exception& error) {
      spdlog::error("publisher: {}", error.what());
      const std::lock_guard lock(state->mutex);
      state->refusal = error.what();
    }
  });
}

Publisher::~Publisher() {
  state_->thread.request_stop();
  state_->connection.wake();
  state_->thread.join();
}

Result<> Publisher::publish(std::string_view signal, Done done) {
  bool wake = false;
  {
    const std::lock_guard lock(state_->mutex);
    const Result<uint64_t> ticket = state_->core.add(signal);
    if (!ticket) return ticket.error();
    ++state_->counts.taken;
    if (done) state_->waiting.push_back({*ticket, std::move(done)});
    // The thread is woken where it could send at once; else the next acknowledgement wakes it.
    wake = !state_->wake_pending && state_->core.ready(Now{});
    state_->wake_pending |= wake;
  }
  if (wake) state_->connection.wake();
  return {};
}

Result<> Publisher::publish_and_wait(std::string_view signal, Millis deadline) {
  auto promise = std::make_shared<std::promise<Outcome>>();
  auto future = promise->get_future();
  if (const auto taken = publish(signal, [promise](const Outcome& outcome) { promise->set_value(outcome); }); !taken) {
    return taken.error();
  }
  if (future.wait_for(deadline) != std::future_status::ready) {
    const std::string why = obstacle();
    return Error{why.empty()
                     ? "the broker at " + state_->options.endpoint + " did not acknowledge within " + roughly(deadline)
                     : why};
  }
  const Outcome outcome = future.get();
  if (!outcome.durable()) return Error{"the broker refused the signal: " + outcome.text, outcome.reason};
  return {};
}

bool Publisher::flush(Millis deadline) {
  std::unique_lock lock(state_->mutex);
  const uint64_t upto = state_->core.last_ticket();
  return state_->moved.wait_for(lock, deadline, [&] { return state_->core.settled_upto() >= upto; });
}

bool Publisher::wait_for_room(size_t bytes, Millis deadline) {
  std::unique_lock lock(state_->mutex);
  return state_->moved.wait_for(lock, deadline, [&] { return state_->core.held_bytes() <= bytes; });
}

Publisher::Counts Publisher::counts() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counts;
}

std::string Publisher::obstacle() const {
  const std::lock_guard lock(state_->mutex);
  if (!state_->refusal.empty()) return "the broker at " + state_->options.endpoint + " refuses: " + state_->refusal;
  if (!state_->open) return "no broker answers at " + state_->options.endpoint + ": is detent-broker running?";
  if (!state_->core.paused_why().empty()) return "the broker has paused publishers: " + state_->core.paused_why();
  return {};
}

}  // namespace detent
