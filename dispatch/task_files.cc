#include "dispatch/task_files.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "dispatch/events.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

constexpr Millis kBetweenCommits{1'000};
constexpr int kShare = 20;  // writing takes no more than this part of the time, however long QUEUE.md is
constexpr Millis kRetry{5'000};
constexpr size_t kMostWaiting = 64 << 20;  // bytes of results that git has not taken
constexpr Millis kBetweenHeartbeats{300'000};

QueueState queue_state(const Task& task) { return parse_queue_state(state_of(task)).value_or(QueueState::queued); }

}  // namespace

/// A task as it is to be in the files. Its text and its result are read where they are needed.
struct TaskFiles::Item {
  QueueTask task;
  RecordPosition asked_at;
  std::optional<TaskResult> result;
  RecordPosition ended_at;
  bool stale = false;
};

struct TaskFiles::Job {
  std::vector<Item> items;
  std::string heartbeat;
  bool edits_durable = false;
  std::set<std::string> known;  // all tasks; of the first job alone
};

struct TaskFiles::Done {
  std::vector<HandEdit> edits;
  std::vector<std::string> filed;
  std::vector<std::string> faults;
  std::string trouble;
  Millis took{0}, wait{0};
};

class TaskFiles::Clerk {
 public:
  Clerk(TaskBranch::Options options, Patterns secrets) : options_(std::move(options)), secrets_(std::move(secrets)) {}
  void reads(std::unique_ptr<JournalReader> reader) { reader_ = std::move(reader); }

  Done work(Job job) {
    const Now now = system_now();
    for (Item& item : job.items) {
      const auto key = item.stale ? std::pair(item.result->id, item.result->epoch) : std::pair(item.task.id, 0u);
      waiting_.insert_or_assign(key, std::move(item));
    }
    if (!job.heartbeat.empty()) heartbeat_ = std::move(job.heartbeat);
    if (!job.known.empty()) known_ = std::move(job.known);
    Done done;
    const auto worked = write(done, job.edits_durable, now);
    done.took = system_now().mono - now.mono;
    if (!worked) {
      done.trouble = worked.error().what;
      done.wait = kRetry;
    }
    return done;
  }

 private:
  Result<> write(Done& done, bool edits_durable, Now now) {
    if (!branch_) {
      auto opened = TaskBranch::open(options_, now);
      if (!opened) return opened.error();
      auto forgotten = (*opened)->forgotten(known_);
      if (!forgotten) return forgotten.error();
      branch_ = std::move(*opened);
      done.edits = std::move(*forgotten);
    }
    if (edits_durable) branch_->edits_taken();
    if (!heartbeat_.empty()) branch_->heartbeat(heartbeat_);
    while (!waiting_.empty() && branch_->waiting_bytes() < kMostWaiting) {
      if (const auto filed = file(waiting_.begin()->second, done); !filed) return filed;
      waiting_.erase(waiting_.begin());
    }
    auto turned = branch_->turn(now);
    if (!turned) return turned.error();
    done.edits.insert(done.edits.end(), std::make_move_iterator(turned->edits.begin()),
                      std::make_move_iterator(turned->edits.end()));
    for (std::string& id : turned->filed) done.filed.push_back(std::move(id));
    for (const QueueFault& fault : branch_->faults()) done.faults.push_back(describe(fault));
    done.trouble = branch_->remote_trouble();
    done.wait = branch_->wait(now.mono);
    return {};
  }

  /// What the record at `at` holds; nothing where it is lost.
  Result<std::optional<TaskRecord>> read(const RecordPosition& at) {
    const auto bytes = reader_->read(at);
    if (!bytes && !is_lost(bytes.error())) return bytes.error();
    TaskRecord record;
    if (!bytes || !record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())))
      return std::optional<TaskRecord>();
    return std::optional(std::move(record));
  }

  Result<> file(Item& item, Done& done) {
    const bool over = item.task.state && is_final(*item.task.state);
    if (!over && !item.stale) {
      const auto record = read(item.asked_at);
      if (!record) return record.error();
      Signal signal;
      TaskRequest request;
      if (*record && signal.ParseFromString(signal_of(**record)) && request.ParseFromString(signal.payload())) {
        item.task.text = request.body();
        item.task.created = fmt::format("{} by {}", utc(Millis{signal.created_ms()}), signal.source());
      }
    }
    if (item.result) {
      const auto there = item.stale ? Result<bool>(false) : branch_->has_result(*item.result);
      if (!there) return there.error();
      if (*there) {
        done.filed.push_back(item.result->id);
      } else {
        if (const auto filled = fill(item); !filled) return filled;
        branch_->ended(*item.result, item.stale);
      }
    }
    if (!item.stale) branch_->changed(item.task, over ? item.result->ended : Millis{0});
    return {};
  }

  Result<> fill(Item& item) {
    if (!item.ended_at.segment) return {};
    const auto record = read(item.ended_at);
    if (!record) return record.error();
    TaskResult& result = *item.result;
    if (!*record) {
      result.body = "(its result was lost: the journal was damaged)";
      return {};
    }
    const AttemptEnded& ended = (*record)->ended().ended();
    if (item.stale) {
      result.state = state_name(ended.state());
      result.ended = Millis{(*record)->ended().at_ms()};
      result.worker = (*record)->ended().worker();
      result.took = Millis{static_cast<int64_t>(ended.took_ms())};
      result.error = ended.error();
    }
    result.body = ended.result();
    if (ended.output_bytes() > ended.result().size()) {
      result.output_bytes = ended.output_bytes();
      result.output_sha256 = ended.output_sha256();
    }
    for (std::string* text : {&result.body, &result.error, &result.title}) redact(*text, secrets_);
    return {};
  }

  TaskBranch::Options options_;
  Patterns secrets_;
  std::unique_ptr<JournalReader> reader_;
  std::unique_ptr<TaskBranch> branch_;
  std::map<std::pair<std::string, uint32_t>, Item> waiting_;  // by id, and epoch of a stale end
  std::set<std::string> known_;                               // at the start
  std::string heartbeat_;
};

TaskFiles::TaskFiles(TaskBranch::Options options, Patterns secrets, Executor& executor, Dispatch& core,
                     SignalBuilder& builder)
    : executor_(executor),
      core_(core),
      builder_(builder),
      clerk_(std::make_shared<Clerk>(std::move(options), std::move(secrets))) {}

TaskFiles::~TaskFiles() = default;

void TaskFiles::recovered(Journal& journal, Now now) {
  clerk_->reads(journal.reader());
  bodies_ = journal.reader(64 << 10);
  for (const auto& entry : core_.queue().all()) changed_.insert(entry.second->id);
  next_ = next_heartbeat_ = now.mono;
}

// ---- to the files

TaskFiles::Item TaskFiles::item_of(const Task& task) const {
  Item item;
  item.task.id = task.id.text();
  item.task.title = task.title;
  item.task.state = queue_state(task);
  if (task.priority) item.task.priority = task.priority;
  item.task.runner = task.runner;
  if (task.not_before.count()) item.task.not_before = task.not_before;
  for (const Ulid& id : task.after) item.task.after.push_back(id.text());
  if (task.timeout_ms) item.task.timeout = Millis{static_cast<int64_t>(task.timeout_ms)};
  if (task.retries) item.task.retries = task.retries;
  item.task.labels = task.needs;
  item.asked_at = task.at;
  if (task.lease) item.task.claim = fmt::format("{} epoch={}", task.lease->worker, task.epoch);
  if (!task.is_over()) return item;
  const End& end = *task.last;
  TaskResult& result = item.result.emplace();
  result.id = item.task.id;
  result.title = task.title;
  result.runner = task.runner;
  result.worker = end.worker;
  result.epoch = end.epoch;
  result.state = state_name(end.state);
  result.ended = Millis{end.at_ms};
  result.took = Millis{static_cast<int64_t>(end.took_ms)};
  if (end.took_ms) result.started = result.ended - result.took;
  if (end.state == SUCCEEDED || end.exit_code) result.exit_code = end.exit_code;
  result.needs_response = end.needs_response;
  result.error = end.error;
  item.ended_at = end.at;
  return item;
}

/// A section for each worker that was heard since the start; empty: nobody was.
std::string TaskFiles::heartbeat(Now now) {
  for (const auto& entry : core_.workers()) {
    const Worker& worker = entry.second;
    if (!worker.reported) continue;
    const auto running = std::count_if(core_.queue().running().begin(), core_.queue().running().end(),
                                       [&](const Task* task) { return task->lease->worker == worker.name; });
    workers_[worker.name] = {now.wall - (now.mono - worker.heard),
                             fmt::format("- version: {}\n- runners: {}\n- running: {}\n- free: {}\n{}", worker.version,
                                         fmt::join(worker.offer.runners, ", "), running, worker.free,
                                         worker.draining ? "- draining: yes\n" : "")};
  }
  if (workers_.empty()) return {};
  std::string text =
      fmt::format("# Workers\n\n{} queued, {} running.\n", core_.queue().queued(), core_.queue().running().size());
  for (const auto& [name, seen] : workers_)
    text += fmt::format("\n## {}\n\n- heard: {}\n{}", name, utc(seen.wall), seen.about);
  return text;
}

void TaskFiles::turn(Now now) {
  changed_.merge(core_.changed);
  for (const auto& [session, worker] : core_.workers()) {
    if (worker.reported && !workers_.contains(worker.name)) next_heartbeat_ = now.mono;
  }
  if (!changed_.empty() || !core_.stale.empty() || edits_ == Edits::Durable) next_ = std::min(next_, not_before_);
  if (edits_ == Edits::Unasked && now.mono >= ask_at_) ask(now);
  const bool waits = edits_ != Edits::None && edits_ != Edits::Durable;
  if (busy_ || now.mono < next_ || waits) return;
  Job job;
  if (!std::exchange(began_, true)) {
    for (const auto& entry : core_.queue().all()) job.known.insert(entry.second->id.text());
  }
  for (const Ulid& id : std::exchange(changed_, {})) {
    if (core_.is_undurable(id)) continue;  // it is among those that changed once that is durable
    if (const Task* task = core_.queue().find(id)) job.items.push_back(item_of(*task));
  }
  for (const auto& end : std::exchange(core_.stale, {})) {
    Item item;
    item.stale = true;
    item.ended_at = end.at;
    item.result.emplace();
    item.result->id = end.task.text();
    item.result->epoch = end.epoch;
    job.items.push_back(std::move(item));
  }
  if (now.mono >= next_heartbeat_) {
    job.heartbeat = heartbeat(now);
    next_heartbeat_ = now.mono + kBetweenHeartbeats;
  }
  job.edits_durable = std::exchange(edits_, Edits::None) == Edits::Durable;
  busy_ = true;
  executor_.chore([this, clerk = clerk_, job = std::make_shared<Job>(std::move(job))]() -> Executor::OnLoop {
    auto done = std::make_shared<Done>(clerk->work(std::move(*job)));
    return [this, done](Now later) { take(std::move(*done), later); };
  });
}

Millis TaskFiles::deadline() const {
  if (edits_ == Edits::Unasked) return ask_at_;
  return busy_ || edits_ == Edits::Given || edits_ == Edits::UnderWay ? Millis::max() : next_;
}

// ---- from the files

void TaskFiles::take(Done done, Now now) {
  busy_ = false;
  not_before_ = now.mono + std::max(kBetweenCommits, kShare * done.took);
  next_ = now.mono + std::max(kBetweenCommits, done.wait);
  for (const std::string& id : done.filed) core_.filed(*Ulid::parse(id));
  if (done.faults != faults_) {
    for (const std::string& fault : done.faults) spdlog::warn("tasks: {}", fault);
    faults_ = std::move(done.faults);
  }
  if (done.trouble != trouble_) {
    done.trouble.empty() ? spdlog::info("tasks: git is up to date again") : spdlog::error("tasks: {}", done.trouble);
    trouble_ = std::move(done.trouble);
  }
  unasked_ = std::move(done.edits);
  if (!unasked_.empty()) ask(now);
}

void TaskFiles::ask(Now now) {
  std::erase_if(unasked_, [&](const HandEdit& edit) { return apply(edit, now); });
  edits_ = unasked_.empty() ? Edits::Given : Edits::Unasked;
  ask_at_ = now.mono + kRetry;
}

bool TaskFiles::apply(const HandEdit& edit, Now now) {
  switch (edit.kind) {
    case QueueRequest::Kind::new_task:
    case QueueRequest::Kind::values_changed:
    case QueueRequest::Kind::text_changed:
      return ask_for(edit, now);
    case QueueRequest::Kind::removed:
    case QueueRequest::Kind::cancel:
      core_.cancel(edit.id, now);  // of one that is over there is nothing to cancel
  }
  return true;
}

void TaskFiles::work_taken() {
  if (edits_ == Edits::Given) edits_ = Edits::UnderWay;
}

void TaskFiles::journalled() {
  if (edits_ == Edits::UnderWay) edits_ = Edits::Durable;
}

}  // namespace detent
