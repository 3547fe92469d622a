#include "dispatch/dispatcher.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/redact.h"
#include "base/version.h"
#include "dispatch/events.h"
#include "dispatch/expect_admin.h"
#include "dispatch/schedule_admin.h"
#include "host/host.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

constexpr size_t kMaxSaid = 64;  // signals on their way to the broker at a time
constexpr Millis kLater{5'000};

Patterns patterns_of(const Config& config) {
  auto patterns = Patterns::compile(config.redact);
  if (!patterns) throw Failure(patterns.error().what);
  return std::move(*patterns);
}

IdWindow open_ids(Disk& disk, const std::string& directory, uint64_t seed) {
  if (auto made = disk.make_directory(directory); !made) throw Failure(made.error().what);
  auto ids = Host::open_ids(
      disk, directory, [](const IdDamage& damage) { spdlog::error("damaged: {}: {}", damage.file, damage.why); }, seed);
  if (!ids) throw Failure(ids.error().what);
  return std::move(*ids);
}

std::vector<std::string> expected(const ExpectConfig& config) {
  std::vector<std::string> names;
  for (const Expectation& one : config.sources) names.push_back(one.name);
  return names;
}

Dispatch::Options options_of(Dispatch::Options options) {
  options.server = std::string("detent-dispatch ") + kVersion;
  return options;
}

}  // namespace

Dispatcher::Dispatcher(const Config& config, Disk& disk, uint64_t seed, Dispatch::Options core)
    : secrets_(patterns_of(config)),
      validator_([this](std::span<char> text) { return redact(text, secrets_); }),
      builder_(secrets_),
      ids_(open_ids(disk, directory(config), seed)),
      core_(options_of(std::move(core)), validator_, ids_, seed),
      recurring_(config.of<ScheduleConfig>(), core_, builder_, seed),
      outages_(config.of<ExpectConfig>(), core_, builder_),
      uplink_(seed | 1, seed ^ 0x9e3779b97f4a7c15),
      listener_(expected(config.of<ExpectConfig>()), (seed | 1) + 4, seed ^ 0x2545f4914f6cdd1d) {}

Dispatcher::~Dispatcher() = default;

void Dispatcher::keep_files(TaskBranch::Options options, Executor& executor) {
  files_ = std::make_unique<TaskFiles>(std::move(options), secrets_, executor, core_, builder_);
}

// ---- recovery

void Dispatcher::restore(std::string_view bytes) {
  TaskSnapshot snapshot;
  CHECK(snapshot.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())),
        "a snapshot whose checksum is right can be read");
  core_.restore(snapshot);
  recurring_.restore(snapshot);
  outages_.restore(snapshot);
}

void Dispatcher::replay(std::string_view bytes, const RecordPosition& position, bool after_snapshot) {
  TaskRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  if (record.has_schedules_moved()) {
    if (after_snapshot) recurring_.replay(record.schedules_moved());
  } else if (record.has_liveness_changed()) {
    if (after_snapshot) outages_.replay(record.liveness_changed());
  } else {
    core_.replay(record, position, after_snapshot);
  }
}

std::string Dispatcher::snapshot() {
  TaskSnapshot snapshot;
  core_.add_to(snapshot);
  recurring_.add_to(snapshot);
  outages_.add_to(snapshot);
  return snapshot.SerializeAsString();
}

void Dispatcher::damaged(const Damage& damage) {
  spdlog::error("damaged: {}: {}; what could not be read was set aside under quarantine/", damage.file, damage.why);
}

Result<void> Dispatcher::recovered(Journal& journal, Now now) {
  bodies_ = journal.reader();
  admin_ = std::make_unique<TaskAdmin>(core_, journal, files_.get());
  add_schedule_commands(*admin_, recurring_);
  add_expect_commands(*admin_, outages_);
  const uint64_t missing = core_.recovered(now);
  recurring_.recovered();
  outages_.recovered(now);
  if (missing) spdlog::error("{} tasks are missing from the journal: their signals are in the ledger", missing);
  spdlog::info("recovered {} queued and {} running tasks", core_.queue().queued(), core_.queue().running().size());
  if (files_) files_->recovered(journal, now);
  return {};
}

// ---- a turn

Millis Dispatcher::deadline() const {
  return std::min({core_.deadline(), recurring_.deadline(), outages_.deadline(), uplink_.deadline(),
                   listener_.deadline(), files_ ? files_->deadline() : Millis::max()});
}

void Dispatcher::receive(std::string_view peer, std::span<char> message, Now now) {
  if (peer == Listener::kPeer) return listener_.receive({message.data(), message.size()}, now);
  if (!Uplink::is_broker(peer)) return core_.receive(peer, message, now);
  uplink_.receive(peer, {message.data(), message.size()}, now);
  take_in(now);
}

void Dispatcher::tick(Now now) {
  core_.tick(now);
  recurring_.pause(low_ || draining_);
  recurring_.tick(now);
  outages_.tick(now);
  uplink_.tick(now);
  listener_.tick(now);
}

void Dispatcher::take_in(Now now) {
  for (auto& delivery : std::exchange(uplink_.delivered, {})) {
    if (low_ || draining_) {
      uplink_.put_off(delivery, kLater);
    } else if (const auto taken = core_.submit(delivery.signal, now)) {
      taken_in_.push_back(std::move(delivery));
    } else if (taken.error().code == EBADMSG) {
      uplink_.refuse(delivery, taken.error().what);
    } else {
      spdlog::warn("a task is taken in later: {}", taken.error().what);
      uplink_.put_off(delivery, kLater);
    }
  }
}

void Dispatcher::flush(Now now) {
  for (const auto& question : std::exchange(core_.questions, {})) admin_->answer(question, now);
  core_.flush(now);
  admin_->tick(now);
  for (const uint64_t session : std::exchange(core_.reports, {})) {
    if (const auto worker = core_.workers().find(session); worker != core_.workers().end())
      outages_.heard(worker->second, now);
  }
  outages_.heard(listener_, now);
  outages_.say(uplink_);
  say_how_tasks_ended();
  if (files_) files_->turn(now);
}

std::optional<Work> Dispatcher::take_work(Now) {
  if (!has_work()) return std::nullopt;
  work_taken_ = true;
  if (files_) files_->work_taken();
  taken_in_under_way_ = std::exchange(taken_in_, {});
  Work work;
  work.batch = core_.take_work();
  outages_.taken();
  return work;
}

void Dispatcher::journalled(Work, const Appended& appended, Now now) {
  if (!std::exchange(work_taken_, false)) return;  // a snapshot alone
  core_.journalled(appended.segment, appended.base_offset, now);
  outages_.journalled();
  uplink_.settle(std::exchange(taken_in_under_way_, {}));
  if (files_) files_->journalled();
}

bool Dispatcher::send(const Send& send, Now now) {
  for (const auto& assigned : std::exchange(core_.assigned, {})) {
    TaskRecord record;
    const auto bytes = bodies_->read(assigned.at);
    if (!bytes) {
      core_.unreadable(assigned.task, assigned.epoch, is_lost(bytes.error()), bytes.error().what, now);
    } else if (!record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
      core_.unreadable(assigned.task, assigned.epoch, true, "the record is malformed", now);
    } else {
      core_.assign(assigned, signal_of(record));
    }
  }
  for (const auto& message : std::exchange(core_.outgoing, {})) send(message.first, message.second);
  uplink_.flush(send, now);
  listener_.flush(send);
  return false;
}

void Dispatcher::gone(std::string_view peer, Now now) {
  // Of the broker the links find out by themselves.
  if (!Uplink::is_broker(peer) && peer != Listener::kPeer) core_.gone(peer, now);
}

void Dispatcher::drain() {
  draining_ = true;
  core_.drain();
  uplink_.drain();
}

// ---- how tasks ended

std::optional<std::string> Dispatcher::result_of(const Task& task) {
  if (!task.last->at.segment) return std::string();
  const auto bytes = bodies_->read(task.last->at);
  if (!bytes && !is_lost(bytes.error())) return std::nullopt;
  TaskRecord record;
  if (!bytes || !record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())))
    return "(its result was lost: the journal was damaged)";
  return std::move(*record.mutable_ended()->mutable_ended()->mutable_result());
}

void Dispatcher::say_how_tasks_ended() {
  while (!said_.empty() && said_.begin()->first <= uplink_.published()) {
    const auto [id, end] = said_.begin()->second;
    said_.erase(said_.begin());
    saying_.erase(id);
    core_.told(id, end);
  }
  for (const Ulid& id : core_.untold()) {
    if (said_.size() >= kMaxSaid) return;
    const Task& task = *core_.queue().find(id);
    // Not before its end is durable.
    if (saying_.contains(id) || !task.last->at.segment) continue;
    const auto result = result_of(task);
    if (!result) continue;
    const auto signal = end_signal(task, *result, builder_);
    CHECK(signal, "what the dispatcher says is within the limits");
    const auto ticket = uplink_.publish(signal->signal);
    if (!ticket) return;
    said_[*ticket] = {id, task.last->number};
    saying_.insert(id);
  }
}

// ---- the disk

void Dispatcher::cannot_write(const Error& error, Now) {
  spdlog::error("the journal cannot be written at the moment, and is tried again: {}", error.what);
}

void Dispatcher::space(const Space& space, Now) {
  if (space.low != std::exchange(low_, space.low))
    space.low ? spdlog::warn("the disk is low, {} MiB free: no task is taken in until there is room", space.free >> 20)
              : spdlog::info("the disk has room again");
}

}  // namespace detent
