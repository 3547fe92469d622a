#include "worker/runs.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/utf8.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"
#include "worker/attempt.h"
#include "worker/workspace.h"

namespace detent {

namespace {

constexpr size_t kMaxResult = 256 << 10;  // bytes, proto/task.proto
constexpr Millis kLook{1'000};

Results open_results(Disk& disk, const std::string& folder) {
  auto results = Results::open(disk, folder);
  if (!results) throw Failure(results.error().what);
  return std::move(*results);
}

AttemptState state_of(Outcome::State state) {
  switch (state) {
    case Outcome::State::succeeded:
      return SUCCEEDED;
    case Outcome::State::failed:
      return FAILED;
    case Outcome::State::timed_out:
      return TIMED_OUT;
    case Outcome::State::cancelled:
      return CANCELLED;
  }
  return FAILED;
}

Results::Key key_of(const AttemptKey& attempt) { return {attempt.task.text(), attempt.epoch}; }

AttemptEnded ended(const AttemptKey& attempt, AttemptState state, std::string_view error) {
  AttemptEnded message;
  message.mutable_attempt()->set_task(std::string(attempt.task.view()));
  message.mutable_attempt()->set_epoch(attempt.epoch);
  message.set_state(state);
  message.set_error(std::string(head_of(error, 1024)));
  return message;
}

}  // namespace

struct Runs::Workspaces {
  std::map<std::string, std::unique_ptr<Workspace>> by_runner;
};

/// From its order to its outcome: first its workspace is prepared, then it runs.
struct Runs::Run {
  AttemptKey attempt;
  const RunnerConfig* runner = nullptr;
  AttemptOrder order;
  std::optional<Checkout> checkout;  // prepared, or being so
  std::optional<Attempt> running;
  std::string stopped;  // why it is to end; empty: it is not
  std::string printed;  // and not told yet
};

Runs::Runs(const WorkerConfig& config, Isolation isolation, Disk& disk, std::function<void()> wake)
    : config_(config),
      isolation_(std::move(isolation)),
      results_(open_results(disk, (config.folder / "results").string())),
      wake_(std::move(wake)),
      order_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      workspaces_(std::make_unique<Workspaces>()) {
  for (const std::string& line : end_leftovers(isolation_)) spdlog::warn("{}", line);
  thread_ = std::jthread([this](const std::stop_token& stop) { loop(stop); });
}

Runs::~Runs() {
  thread_.request_stop();
  give({});
  thread_.join();
  close(order_fd_);
}

std::vector<std::pair<AttemptKey, std::string>> Runs::kept() {
  std::vector<std::pair<AttemptKey, std::string>> kept;
  for (const Results::Key& key : results_.waiting()) {
    const auto task = Ulid::parse(key.task);
    auto bytes = results_.read(key);
    if (!task || !bytes) {
      spdlog::error("a result that was kept cannot be read: {} {}", key.task, bytes ? "" : bytes.error().what);
      continue;
    }
    kept.emplace_back(AttemptKey{*task, static_cast<uint32_t>(key.epoch)}, std::move(*bytes));
  }
  return kept;
}

// ---- orders, and what is told

void Runs::give(Order order) {
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = write(order_fd_, &one, sizeof one);  // a full counter: it is awake already
}

void Runs::start(const AttemptKey& attempt, std::string signal) { give({attempt, std::move(signal), {}}); }
void Runs::stop(const AttemptKey& attempt, std::string why) { give({attempt, {}, std::move(why)}); }
void Runs::forget(const AttemptKey& attempt) { give({attempt, {}, {}}); }

std::vector<Runs::Event> Runs::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

void Runs::tell(Event event) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  wake_();
}

// ---- the thread

void Runs::loop(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<Order> orders;
    {
      const std::lock_guard lock(mutex_);
      orders.swap(orders_);
    }
    for (Order& order : orders) obey(std::move(order));
    const Millis mono = system_now().mono;
    for (auto at = runs_.begin(); at != runs_.end();) {
      const auto run = at++;  // `advance` may end it
      advance(*run->second, mono);
    }
    for (auto at = unkept_.begin(); at != unkept_.end();) {
      if (!results_.keep(key_of(at->first), at->second)) break;  // the disk is full still
      tell({at->first, {}, at->second});
      at = unkept_.erase(at);
    }
    wait(unkept_.empty() ? Millis{60'000} : kLook);
  }
  runs_.clear();
}

void Runs::wait(Millis patience) {
  const Millis now = system_now().mono;
  std::vector<pollfd> waits{{order_fd_, POLLIN, 0}};
  for (const auto& entry : runs_) {
    const Run& run = *entry.second;
    const auto descriptors = run.running ? run.running->descriptors() : run.checkout->descriptors();
    for (const int each : descriptors) waits.push_back({each, POLLIN, 0});
    patience = std::min(patience, run.running ? run.running->next() - now : Millis{200});
  }
  poll(waits.data(), waits.size(), static_cast<int>(std::clamp(patience, Millis{0}, Millis{60'000}).count()));
  uint64_t count = 0;
  [[maybe_unused]] const auto taken = read(order_fd_, &count, sizeof count);
}

void Runs::obey(Order order) {
  if (!order.signal.empty()) return begin(order.attempt, order.signal);
  if (order.why.empty()) {
    if (auto gone = results_.acknowledged(key_of(order.attempt)); !gone) spdlog::warn("{}", gone.error().what);
    return;
  }
  const auto run = runs_.find(order.attempt);
  if (run == runs_.end() || !run->second->stopped.empty()) return;
  run->second->stopped = order.why;
  if (run->second->running) run->second->running->cancel(system_now().mono);
}

void Runs::begin(const AttemptKey& attempt, const std::string& signal_bytes) {
  auto& run = *(runs_[attempt] = std::make_unique<Run>());
  run.attempt = attempt;
  Signal signal;
  TaskRequest request;
  if (!signal.ParseFromString(signal_bytes) || !request.ParseFromString(signal.payload()))
    return end(run, ended(attempt, FAILED, "the task cannot be read").SerializeAsString());
  const auto runner = config_.runners.find(request.runner());
  if (runner == config_.runners.end()) {
    return end(
        run,
        ended(attempt, FAILED, fmt::format("this worker has no runner \"{}\"", request.runner())).SerializeAsString());
  }
  run.runner = &runner->second;
  run.order.task = attempt.task.text();
  run.order.epoch = attempt.epoch;
  run.order.prompt = request.body();
  run.order.timeout = Millis{static_cast<int64_t>(request.timeout_ms())};
  spdlog::info("attempt {} of task {} begins: {}", attempt.epoch, run.order.task, request.title());
  if (run.runner->workspace.empty()) return;
  auto& workspace = workspaces_->by_runner[runner->first];
  if (!workspace) {
    workspace = std::make_unique<Workspace>(config_.folder / "workspaces" / runner->first, run.runner->workspace,
                                            run.runner->branch);
  }
  run.checkout.emplace(workspace->checkout());
}

void Runs::advance(Run& run, Millis mono) {
  if (!run.running) {
    if (!run.stopped.empty()) return end(run, ended(run.attempt, CANCELLED, run.stopped).SerializeAsString());
    if (run.checkout && run.order.workspace.empty()) {
      const auto prepared = run.checkout->poll(mono);
      if (!prepared) return;
      if (!*prepared) {
        return end(run, ended(run.attempt, FAILED, "its workspace: " + prepared->error().what).SerializeAsString());
      }
      run.order.workspace = run.checkout->folder();
      run.order.readable.push_back(run.checkout->readable());
    }
    auto started = Attempt::start(
        isolation_, *run.runner, run.order,
        [&run](Child::Stream, std::string_view line) { run.printed.append(line).append("\n"); }, mono);
    if (!started) return end(run, ended(run.attempt, FAILED, started.error().what).SerializeAsString());
    run.running.emplace(std::move(*started));
  }
  auto outcome = run.running->poll(mono);
  if (!run.printed.empty()) tell({run.attempt, std::exchange(run.printed, {}), {}});
  if (!outcome) return;
  AttemptEnded message = ended(run.attempt, state_of(outcome->state), outcome->error);
  if (outcome->state == Outcome::State::cancelled && !run.stopped.empty()) message.set_error(run.stopped);
  message.set_exit_code(outcome->exit_code);
  message.set_result(std::string(tail_of(outcome->text, kMaxResult)));
  message.set_took_ms(static_cast<uint64_t>(outcome->took.count()));
  message.set_output_bytes(outcome->out.bytes);
  message.set_output_sha256(outcome->out.sha256);
  end(run, message.SerializeAsString());
}

/// It is over: its result is on the disk before anybody hears of it.
void Runs::end(Run& run, std::string encoded) {
  const AttemptKey attempt = run.attempt;
  runs_.erase(attempt);
  spdlog::info("attempt {} of task {} ended", attempt.epoch, attempt.task.text());
  if (const auto kept = results_.keep(key_of(attempt), encoded); !kept) {
    spdlog::error("the result of task {} cannot be kept, and is tried again: {}", attempt.task.text(),
                  kept.error().what);
    unkept_[attempt] = std::move(encoded);
    return;
  }
  tell({attempt, {}, std::move(encoded)});
}

}  // namespace detent
