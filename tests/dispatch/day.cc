#include "tests/dispatch/day.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "dispatch/events.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"

namespace detent::test {

namespace {
constexpr int kTasks = 12;
constexpr Millis kGrace{500};

std::string text_of(const AttemptKey& attempt) { return fmt::format("{} {}", attempt.task.text(), attempt.epoch); }
}  // namespace

size_t Day::Socket::receive(size_t count, size_t, const std::function<void(std::string_view, std::span<char>)>& take) {
  size_t got = 0;
  for (size_t i = 0; i < count && !arrived.empty(); ++i) {
    auto [peer, message] = std::move(arrived.front());
    arrived.pop_front();
    got += message.size();
    take(peer, message);
  }
  return got;
}

ServerSocket::Sent Day::Socket::send(std::string_view peer, std::string_view message) {
  if (gone.contains(peer)) return Sent::Gone;
  sent.emplace_back(peer, message);
  return Sent::Yes;
}

Day::Day(uint64_t seed) : dice_(seed) {
  config_.state = "state";
  add_schedules();
  start_dispatcher();
  start_broker(consumer_);
  start_broker(producer_);
  start_broker(listener_);
  for (int i = 0; i < 3; ++i) workers_.push_back({.number = i});
  for (auto& worker : workers_) start_worker(worker);
}

Day::~Day() = default;

void Day::broken(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

// ---- who takes part

void Day::start_dispatcher() {
  executor_ = std::make_unique<SteppedExecutor>();
  dispatcher_ = std::make_unique<Dispatcher>(config_, disk_, dice_(), Dispatch::Options{.keep_finished = 6});
  Host::Options options;
  options.directory = Dispatcher::directory(config_);
  options.bite_messages = 8;
  options.journal.segment_bytes = 4096;
  options.journal.spares = 1;
  options.journal.reserve_bytes = 0;
  options.journal.low_water = 0;
  options.journal.seed = dice_();
  host_ = std::make_unique<Host>(*dispatcher_, dispatcher_->ids(), socket_, *executor_, disk_, options);
  if (const auto opened = host_->open(now_); !opened) broken("the dispatcher does not start: " + opened.error().what);
}

void Day::crash_dispatcher() {
  ++counts_.crashes;
  const bool quiet = executor_->idle() && !dispatcher_->has_work();
  if (chance(0.2)) set_clock();
  const std::string before = state();
  const std::set<Ulid> read = this->read();
  if (chance(0.5)) disk_.cut_power_at(disk_.calls() + 1 + below(8));
  for (int i = 0; i < 3 && executor_->journal_jobs() && chance(0.7); ++i) executor_->step_journal();
  host_.reset();
  dispatcher_.reset();
  executor_.reset();
  socket_ = {};
  disk_.kill();
  disk_.power_on(static_cast<Cut>(below(3)), dice_());
  start_dispatcher();
  if (quiet && state() != before) broken("a restart changed\n" + before + "to\n" + state());
  for (const Ulid& id : read) {
    // Which of the tasks that were told are forgotten may differ.
    const Task* task = dispatcher_->core().queue().find(id);
    if (quiet && task && !task->read) broken(id.text() + " was read, and is unread after a restart");
  }
}

std::set<Ulid> Day::read() const {
  std::set<Ulid> read;
  for (const auto& [number, task] : dispatcher_->core().queue().all()) {
    if (task->read) read.insert(task->id);
  }
  return read;
}

/// Of every task that is not over, or not told: what a restart must not change.
std::string Day::state() const {
  std::string out;
  for (const auto& [number, task] : dispatcher_->core().queue().all()) {
    if (task->told) continue;
    out += fmt::format("{} {} epoch {} failures {} losses {} {}{}{}{}\n", number, state_of(*task), task->epoch,
                       task->failures, task->losses, task->lease ? task->lease->worker : "",
                       task->cancel_asked ? " cancel" : "", task->read ? " read" : "",
                       task->last ? fmt::format(" last {} at {}", task->last->epoch, task->last->at.segment != 0) : "");
  }
  return out;
}

void Day::start_worker(Worker& worker) {
  ++worker.life;
  Link::Options options;
  options.name = fmt::format("worker-{}", worker.number);
  options.role = Link::Role::Worker;
  options.instance = dice_() | 1;
  worker.link = std::make_unique<Link>(options, dice_());
  worker.core = std::make_unique<WorkerCore>(WorkerCore::Options{
      .runners = worker.number ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"a"}, .concurrency = 2});
  for (const auto& [attempt, encoded] : worker.kept) worker.core->restore(attempt, encoded);
}

/// With all that it runs.
void Day::crash_worker(Worker& worker) {
  ++counts_.crashes;
  for (const auto& entry : worker.running) --tasks_[entry.first.task].running;
  worker.running.clear();
  if (chance(0.5)) {
    socket_.gone.insert(fmt::format("worker-{}/{}", worker.number, worker.life));
    socket_.lost = true;
  }
  worker.link.reset();
  worker.core.reset();
  worker.up_at = now_.mono + Millis{below(20'000)};
}

void Day::start_broker(BrokerEnd& end) {
  end.session = 0;
  end.sessions = std::make_unique<Sessions>(
      Sessions::Options{.server = "a broker"},
      Sessions::Rules{
          .may_send = [](int, uint32_t) { return true; },
          .may_open = [](int, const std::vector<std::string>&) { return Sessions::Refusal{}; },
          .check = [](uint32_t, std::string_view) { return std::optional<std::string>(); },
          .send = [this, &end](const std::string&,
                               std::string frame) { send(end.peer, "dispatcher", std::move(frame)); },
          .opened =
              [this, &end](const Session& session) {
                end.session = session.id;
                if (&end != &consumer_) return;
                credit_ = 0;
                for (auto& entry : tasks_) entry.second.in_flight = false;
              },
          .ended =
              [&end](const Session& session, Now) {
                if (end.session == session.id) end.session = 0;
              },
      },
      dice_());
}

void Day::on_broker(BrokerEnd& end, std::string bytes) {
  const auto received = end.sessions->receive("dispatcher", bytes, now_);
  if (!received) return;
  const auto& [session, field, body] = *received;
  const auto parse = [body = body](auto message) {
    message.ParseFromArray(body.data(), static_cast<int>(body.size()));
    return message;
  };
  if (field == Frame::kCredit) {
    credit_ += parse(Credit()).count();
  } else if (field == Frame::kSettle) {
    const Settle settle = parse(Settle());
    for (auto& entry : tasks_) {
      Asked& task = entry.second;
      for (const uint64_t delivery : settle.delivered()) task.settled |= task.in_flight && task.delivery == delivery;
      for (const auto& one : settle.settled()) {
        if (task.delivery == one.delivery()) task.in_flight = false;
      }
    }
  } else if (field == Frame::kPublish) {
    const Publish publish = parse(Publish());
    for (const auto& signal_bytes : publish.signals()) {
      Signal signal;
      signal.ParseFromString(signal_bytes);
      const auto [known, is_new] = said_.emplace(signal.id(), signal_bytes);
      if (known->second != signal_bytes) broken("one id was used for two signals");
      if (is_new && signal.type().starts_with("service.")) {
        Service service;
        service.ParseFromString(signal.payload());
        on_silence(service.service(), signal.type() == "service.restored");
      } else if (is_new) {
        told_[*Ulid::from_bytes(signal.in_reply_to())].push_back(signal.type());
      }
    }
    Published published;
    published.set_upto(publish.first() + static_cast<uint64_t>(publish.signals_size()) - 1);
    published.set_durability(JOURNALED);
    end.sessions->send(session.id, Frame::kPublished, published.SerializeAsString());
  }
}

void Day::hand_out() {
  if (!consumer_.session) return;
  for (const Ulid& id : order_) {
    Asked& task = tasks_[id];
    if (task.settled || task.in_flight || !credit_) continue;
    --credit_;
    task.in_flight = true;
    task.delivery = ++deliveries_;
    Deliver deliver;
    deliver.set_channel("dispatch");
    auto& delivery = *deliver.add_deliveries();
    delivery.set_id(task.delivery);
    delivery.add_signals()->set_signal(task.signal);
    consumer_.sessions->send(consumer_.session, Frame::kDeliver, deliver.SerializeAsString());
  }
}

void Day::submit() {
  UlidSource ids(dice_());
  Signal signal;
  const Ulid id = ids.next(now_.wall);
  signal.set_id(std::string(id.view()));
  signal.set_type("task.requested");
  TaskRequest request;
  request.set_title(fmt::format("task {}", order_.size()));
  request.set_body(std::string(below(600), 'x'));
  request.set_runner(chance(0.7) ? "a" : "b");
  request.set_priority(static_cast<int>(below(3)));
  request.set_retries(static_cast<uint32_t>(below(3)));
  if (!order_.empty() && chance(0.2)) request.add_after(order_[below(order_.size())].text());
  if (chance(0.2)) request.set_not_before_ms(now_.wall.count() + static_cast<int64_t>(below(60'000)));
  signal.set_payload(request.SerializeAsString());
  tasks_[id].signal = signal.SerializeAsString();
  order_.push_back(id);
}

/// Somebody cancels a task, reads how one ended, or retries one.
void Day::meddle() {
  auto& core = const_cast<Dispatch&>(dispatcher_->core());
  const Ulid id = order_[below(order_.size())];
  const Task* task = core.queue().find(id);
  switch (below(3)) {
    case 0:
      core.cancel(id, now_);
      tasks_[id].cancelled = true;
      return;
    case 1:
      if (!task || !task->is_over()) return;
      if (core.mark_read(id, task->last->number + 1)) broken("an end was read that there is not");
      core.mark_read(id, task->last->number);
      return;
    default:
      const bool may = task && task->is_over() && task->last->state != SUCCEEDED;
      const bool retried = static_cast<bool>(core.retry(id, now_));
      if (retried && !may) broken("a task was retried that did not fail");
      tasks_[id].retries += retried;
      counts_.retried += retried;
  }
}

/// Somebody cancels what waits for a task that was forgotten before this one came.
void Day::cancel_stranded() {
  auto& core = const_cast<Dispatch&>(dispatcher_->core());
  for (const auto& [number, task] : core.queue().all()) {
    const auto before = task->is_over() ? std::nullopt : core.queue().waits_for(*task);
    if (!before || core.queue().find(*before) || !told_.contains(*before)) continue;
    tasks_[task->id].cancelled = true;
    core.cancel(task->id, now_);
    return;
  }
}

// ---- the network

void Day::send(std::string from, std::string to, std::string bytes) {
  if (!calm_ && chance(0.02)) return;
  const int copies = !calm_ && chance(0.02) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const Millis delay{!calm_ && chance(0.05) ? below(3000) : 1};
    network_.emplace(std::pair{now_.mono + delay, packets_++}, Packet{from, to, bytes});
  }
}

void Day::deliver(Packet packet) {
  if (packet.to == "dispatcher") {
    if (host_) socket_.arrived.emplace_back(std::move(packet.from), std::move(packet.bytes));
    return;
  }
  for (auto* end : {&consumer_, &producer_, &listener_}) {
    if (packet.to == end->peer) return on_broker(*end, std::move(packet.bytes));
  }
  for (auto& worker : workers_) {
    if (!worker.link || packet.to != fmt::format("worker-{}/{}", worker.number, worker.life)) continue;
    if (worker.cut_off_until > now_.mono) return;
    const auto event = worker.link->receive(packet.bytes, now_);
    if (event.kind == Link::Event::Opened) worker.core->opened(now_);
    if (event.kind == Link::Event::Lost) worker.core->lost();
    if (event.kind == Link::Event::Frame) worker.core->received(event.field, event.body, now_);
  }
}

// ---- a worker

void Day::end(Worker& worker, const AttemptKey& attempt) {
  Asked& task = tasks_[attempt.task];
  const Running running = worker.running.extract(attempt).mapped();
  --task.running;
  AttemptEnded ended;
  ended.mutable_attempt()->set_task(std::string(attempt.task.view()));
  ended.mutable_attempt()->set_epoch(attempt.epoch);
  ended.set_state(running.stopped ? CANCELLED : chance(0.25) ? FAILED : SUCCEEDED);
  ended.set_result(fmt::format("result {} by {}", text_of(attempt), worker.number));
  if (ended.state() == SUCCEEDED) task.results[attempt.epoch] = ended.result();
  worker.kept[attempt] = ended.SerializeAsString();
  if (!calm_ && chance(0.05)) return crash_worker(worker);
  worker.core->ended(attempt, worker.kept[attempt], now_);
}

void Day::worker_turn(Worker& worker) {
  if (!worker.link) {
    if (now_.mono >= worker.up_at) start_worker(worker);
    return;
  }
  if (worker.link->tick(now_).kind == Link::Event::Lost) worker.core->lost();
  worker.core->tick(now_);
  for (auto& start : std::exchange(worker.core->starts, {})) {
    ++counts_.attempts;
    Asked& task = tasks_[start.attempt.task];
    if (is_due(start.attempt.task) && task.signal.empty()) {
      task.signal = start.signal;
      task.settled = true;  // the broker has nothing to do with it
    }
    if (start.signal != task.signal) return broken("a task was changed on its way");
    if (!task.epochs.insert(start.attempt.epoch).second) return broken("an attempt was begun twice");
    if (++task.running > 1) return broken("two attempts of one task run: " + text_of(start.attempt));
    worker.running[start.attempt] = {now_.mono + Millis{below(40'000)}, {}};
  }
  for (const auto& stop : std::exchange(worker.core->stops, {})) {
    if (const auto running = worker.running.find(stop.attempt); running != worker.running.end())
      running->second.stopped = now_.mono + kGrace;
  }
  for (const auto& attempt : std::exchange(worker.core->taken, {})) worker.kept.erase(attempt);
  std::vector<AttemptKey> over;
  for (const auto& [attempt, running] : worker.running) {
    if (now_.mono >= running.until || (running.stopped && now_.mono >= *running.stopped)) over.push_back(attempt);
  }
  for (const auto& attempt : over) {
    if (!worker.core) return;
    end(worker, attempt);
  }
  if (!worker.core) return;
  for (auto& frame : std::exchange(worker.core->frames, {})) {
    if (worker.link->is_open()) worker.link->send(frame.field, frame.body);
  }
  for (auto& message : std::exchange(worker.link->outgoing, {})) {
    if (worker.cut_off_until <= now_.mono)
      send(fmt::format("worker-{}/{}", worker.number, worker.life), "dispatcher", std::move(message));
  }
}

// ---- the dispatcher

void Day::dispatcher_turn() {
  if (chance(0.6)) executor_->step_journal();
  if (chance(0.3)) executor_->step_chore();
  if (const auto& failure = executor_->failure()) return broken("work: " + failure->what);
  host_->turn(now_);
  for (auto& [peer, message] : std::exchange(socket_.sent, {})) send("dispatcher", peer, std::move(message));
  for (const Task* task : dispatcher_->core().queue().running()) {
    if (task->is_over()) broken("a task runs that is over");
  }
}

void Day::step(bool calm) {
  const Millis passed{1 + below(calm && network_.empty() ? 400 : 60)};
  now_.mono += passed;
  now_.wall += passed;
  if (!calm) {
    if (chance(0.004)) crash_dispatcher();
    if (chance(0.002)) start_broker(chance(0.5) ? consumer_ : chance(0.5) ? producer_ : listener_);
    if (chance(0.001)) beats_again_ = now_.mono + Millis{below(90'000)};
    for (auto& worker : workers_) {
      if (worker.link && chance(0.001)) crash_worker(worker);
      if (chance(0.001)) worker.cut_off_until = now_.mono + Millis{below(120'000)};
    }
    if (order_.size() < kTasks && chance(0.02)) submit();
    if (!order_.empty() && chance(0.006)) meddle();
  }
  while (!network_.empty() && network_.begin()->first.first <= now_.mono) {
    Packet packet = std::move(network_.begin()->second);
    network_.erase(network_.begin());
    deliver(std::move(packet));
  }
  if (calm) cancel_stranded();
  dispatcher_turn();
  consumer_.sessions->tick(now_);
  producer_.sessions->tick(now_);
  listener_.sessions->tick(now_);
  beat();
  hand_out();
  for (auto& worker : workers_) worker_turn(worker);
}

bool Day::is_done() const {
  const auto& all = dispatcher_->core().queue().all();
  return std::all_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) { return told_.contains(entry.first); }) &&
         std::all_of(all.begin(), all.end(), [](const auto& entry) { return entry.second->is_over(); }) &&
         dispatcher_->core().untold().empty() && dispatcher_->outages().all_said() && silent_.empty() &&
         !dispatcher_->has_work() && executor_->journal_jobs() == 0;
}

void Day::check_end() {
  for (const auto& [id, types] : told_) {
    const bool asked = std::find(order_.begin(), order_.end(), id) != order_.end();
    if (!asked && !is_due(id)) return broken("a task ended that nobody asked for");
    if (!asked && types.size() != 1)
      return broken(fmt::format("the end of {} was told {} times", id.text(), types.size()));
  }
  check_schedules();
  for (const auto& [id, task] : tasks_) {
    const auto& types = told_.at(id);
    const auto good = std::count(types.begin(), types.end(), "subagent.completed");
    if (types.size() > 1 + task.retries || good > 1) {
      std::string what = fmt::format("the end of {} was told {} times:", id.text(), types.size());
      for (const auto& entry : said_) {
        Signal signal;
        Subagent payload;
        signal.ParseFromString(entry.second);
        payload.ParseFromString(signal.payload());
        if (Ulid::from_bytes(signal.in_reply_to()) == id)
          what +=
              fmt::format("\n  {} at {}: {} {}", signal.type(), signal.created_ms(), payload.title(), payload.error());
      }
      return broken(what);
    }
    const bool succeeded = good == 1;
    ++(succeeded ? counts_.succeeded : counts_.failed);
    if (succeeded && task.results.empty()) return broken("a task succeeded that no attempt made succeed");
    if (!succeeded && !task.cancelled && !task.epochs.empty() && task.results.contains(*task.epochs.rbegin()))
      return broken(fmt::format("{} did not succeed, and its last attempt did", id.text()));
    if (task.running) return broken("an attempt runs of a task that is over");
  }
  if (!silent_.empty()) return broken(*silent_.begin() + " is told to be silent, and is not");
  for (const auto& [id, signal_bytes] : said_) {
    ++counts_.said;
    Signal signal;
    signal.ParseFromString(signal_bytes);
    Subagent payload;
    payload.ParseFromString(signal.payload());
    if (signal.type() != "subagent.completed") continue;
    const Asked& task = tasks_.at(*Ulid::from_bytes(signal.in_reply_to()));
    const bool is_one = std::any_of(task.results.begin(), task.results.end(),
                                    [&](const auto& result) { return result.second == payload.body(); });
    if (!is_one) return broken("a result was told that no attempt had: " + payload.body());
  }
  for (const auto& worker : workers_) {
    if (!worker.kept.empty()) return broken("a result is kept by its worker that was taken");
  }
}

std::string Day::run() {
  for (int i = 0; i < 4000 && failure_.empty(); ++i) step(false);
  end_schedules();
  calm_ = true;
  for (auto& worker : workers_) worker.cut_off_until = Millis{0};
  for (int i = 0; i < 40'000 && failure_.empty() && !is_done(); ++i) step(true);
  if (failure_.empty() && !is_done()) broken("not everything ended:\n" + state());
  for (int i = 0; i < 200 && failure_.empty(); ++i) step(true);
  if (failure_.empty()) check_end();
  return failure_;
}

}  // namespace detent::test
