#include "dispatch/core.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/result.h"
#include "dispatch/past.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

constexpr Millis kSweep{500};

bool may_send(int role, uint32_t field) {
  switch (field) {
    case Frame::kWorkerReport:
    case Frame::kAttemptOutput:
    case Frame::kAttemptEnded:
      return role == Hello::WORKER;
    case Frame::kAdminRequest:
      return role == Hello::ADMIN;
    default:
      return true;
  }
}

template <class Message>
bool parse(Message& message, std::string_view body) {
  return message.ParseFromArray(body.data(), static_cast<int>(body.size()));
}

Labels labels_of(const google::protobuf::RepeatedPtrField<Label>& in) {
  Labels out;
  for (const auto& label : in) out.emplace_back(label.key(), label.value());
  return out;
}

}  // namespace

Dispatch::Dispatch(Options options, SignalValidator& validator, IdWindow& ids, uint64_t seed)
    : options_(std::move(options)),
      ids_(ids),
      sessions_({options_.server, options_.ping_every, options_.max_sessions}, rules(validator), seed),
      queue_(options_.keep_finished, options_.files),
      past_(std::make_unique<Past>()) {}

Dispatch::~Dispatch() = default;

// ---- sessions

Sessions::Rules Dispatch::rules(SignalValidator& validator) {
  return {
      .may_send = may_send,
      .may_open = [](int role, const std::vector<std::string>&) -> Sessions::Refusal {
        if (role == Hello::WORKER || role == Hello::ADMIN) return {};
        return {NOT_ALLOWED, "this is the dispatcher: signals go to the broker"};
      },
      .check = [&validator](uint32_t field, std::string_view body) { return validator.check_frame(field, body); },
      .send = [this](const std::string& peer, std::string frame) { outgoing.emplace_back(peer, std::move(frame)); },
      .opened =
          [this](const Session& session) {
            if (session.role != Hello::WORKER) return;
            for (auto& [id, other] : workers_) {
              if (other.name == session.name) other.free = 0;  // another life of it
            }
            Worker& worker = workers_[session.id];
            worker.session = session.id;
            worker.name = session.name;
            worker.instance = session.instance;
          },
      .ended = [this](const Session& session, Now) { workers_.erase(session.id); },
  };
}

void Dispatch::receive(std::string_view peer, std::span<char> message, Now now) {
  const auto received = sessions_.receive(peer, message, now);
  if (!received) return;
  const auto& [session, field, body] = *received;
  switch (field) {
    case Frame::kWorkerReport:
      return on_report(session, body, now);
    case Frame::kAttemptOutput:
      return on_output(session, body, now);
    case Frame::kAttemptEnded:
      return on_ended(session, body, now);
    case Frame::kBye:
      return sessions_.finish(session.id, now);
    case Frame::kAdminRequest: {
      AdminRequest request;
      if (!parse(request, body)) return sessions_.malformed(session, "AdminRequest cannot be read", now);
      questions.push_back({session.id, request.request(), request.json()});
      return;
    }
    default:
      return sessions_.malformed(session, fmt::format("a worker may not send frame kind {}", field), now);
  }
}

void Dispatch::answer(const TaskQuestion& question, std::string_view json, std::string_view error) {
  AdminReply reply;
  reply.set_request(question.request);
  reply.set_json(std::string(json));
  reply.set_error(std::string(error));
  hold(question.session, Frame::kAdminReply, reply.SerializeAsString());
}

void Dispatch::ping_workers() {
  for (const auto& [session, worker] : workers_) sessions_.ping(session);
}

// ---- tasks come in

Result<void> Dispatch::submit(std::string_view bytes, Now now) {
  Signal signal;
  if (!parse(signal, bytes) || signal.id().size() != 16) return Error{"not a signal", EBADMSG};
  SignalId id;
  std::memcpy(id.data(), signal.id().data(), id.size());
  const auto known = ids_.insert(id, XXH3_64bits(bytes.data(), bytes.size()));
  if (!known) return known.error();
  if (*known) {
    ++counters_.repeats;
    return {};
  }
  TaskRecord record;
  auto& submitted = *record.mutable_submitted();
  submitted.set_number(next_number_++);
  submitted.set_at_ms(now.wall.count());
  submitted.set_signal(std::string(bytes));
  Task& task = queue_.add(task_of(submitted));
  append(record, task, Fresh::Holds::Prompt);
  ++counters_.submitted;
  queue_.enqueue(task, now);
  if (task.runner.empty()) fail(task, "it names no runner", now);
  return {};
}

Task Dispatch::task_of(const TaskSubmitted& submitted) const {
  Signal signal;
  TaskRequest request;
  signal.ParseFromString(submitted.signal());
  request.ParseFromString(signal.payload());
  Task task;
  task.id = Ulid::from_bytes(signal.id()).value_or(Ulid{});
  task.number = submitted.number();
  task.submitted_ms = submitted.at_ms();
  task.title = request.title();
  task.runner = request.runner();
  task.priority = request.priority();
  task.timeout_ms = request.timeout_ms();
  task.retries = request.retries();
  task.not_before = Millis{request.not_before_ms()};
  for (const auto& text : request.after()) {
    if (const auto id = Ulid::parse(text)) task.after.push_back(*id);
  }
  task.needs = labels_of(request.needs());
  return task;
}

void Dispatch::keep(const TaskRecord& record) { batch_.append(record.SerializeAsString()); }

void Dispatch::append(const TaskRecord& record, const Task& task) {
  keep(record);
  changed_.insert(task.id);
}

void Dispatch::append(const TaskRecord& record, const Task& task, Fresh::Holds holds, uint32_t number) {
  const std::string bytes = record.SerializeAsString();
  const uint32_t offset = batch_.append(bytes);
  fresh_.push_back({holds, task.id, number, offset, static_cast<uint32_t>(bytes.size())});
  changed_.insert(task.id);
}

bool Dispatch::revise(const Ulid& id, std::string_view signal, Now now) {
  Task* task = queue_.find(id);
  if (!task || task->is_over()) return false;
  TaskRecord record;
  auto& revised = *record.mutable_revised();
  revised.set_number(task->number);
  revised.set_at_ms(task->submitted_ms);
  revised.set_signal(std::string(signal));
  append(record, *task, Fresh::Holds::Prompt);
  queue_.revise(*task, task_of(revised), now);
  return true;
}

bool Dispatch::cancel(const Ulid& id, Now now) {
  Task* task = queue_.find(id);
  if (!task || task->is_over()) return false;
  if (task->cancel_asked) return true;
  task->cancel_asked = true;
  TaskRecord record;
  record.mutable_cancel_asked()->set_task(std::string(id.view()));
  record.mutable_cancel_asked()->set_at_ms(now.wall.count());
  append(record, *task);
  if (!task->lease) {
    AttemptEnded ended;
    ended.mutable_attempt()->set_epoch(task->epoch);
    ended.set_state(CANCELLED);
    ended.set_error("cancelled before it ran");
    end_attempt(*task, std::move(ended), now);
  } else {
    for (const auto& [session, worker] : workers_) {
      if (worker.name != task->lease->worker || worker.instance != task->lease->instance) continue;
      Leases leases = terms();
      auto* stop = leases.add_stop();
      set(*stop->mutable_attempt(), *task);
      stop->set_cancelled(true);
      hold(session, Frame::kLeases, leases.SerializeAsString());
    }
  }
  return true;
}

void Dispatch::told(const Ulid& id, uint32_t end) {
  Task* task = queue_.find(id);
  // Where it was retried in the meantime, another end is to be told, or will be.
  if (!task || !task->is_over() || task->last->number != end || !untold_.erase(id)) return;
  TaskRecord record;
  record.mutable_told()->set_task(std::string(id.view()));
  keep(record);
  queue_.told(*task);
  queue_.forget();
}

void Dispatch::filed(const Ulid& id) {
  Task* task = queue_.find(id);
  if (!task || !task->is_over()) return;
  queue_.filed(*task);
  queue_.forget();
}

bool Dispatch::mark_read(const Ulid& id, uint32_t end) {
  Task* task = queue_.find(id);
  if (!task || !task->is_over() || task->last->number != end || std::exchange(task->read, true)) return false;
  TaskRecord record;
  record.mutable_read()->set_task(std::string(id.view()));
  record.mutable_read()->set_end(end);
  keep(record);
  return true;
}

// ---- workers

Leases Dispatch::terms() const {
  Leases leases;
  leases.set_lease_ms(static_cast<uint32_t>(options_.lease.count()));
  leases.set_renew_ms(static_cast<uint32_t>(options_.renew.count()));
  return leases;
}

void Dispatch::set(AttemptId& attempt, const Task& task) {
  attempt.set_task(std::string(task.id.view()));
  attempt.set_epoch(task.epoch);
}

bool Dispatch::is_replaced(const Worker& worker) const {
  return std::any_of(workers_.upper_bound(worker.session), workers_.end(),
                     [&](const auto& later) { return later.second.name == worker.name; });
}

void Dispatch::on_report(const Session& session, std::string_view body, Now now) {
  WorkerReport report;
  if (!parse(report, body)) return sessions_.malformed(session, "WorkerReport cannot be read", now);
  Worker& worker = workers_[session.id];
  if (is_replaced(worker)) return;
  worker.version = report.version();
  worker.offer = {{report.runners().begin(), report.runners().end()}, labels_of(report.labels())};
  worker.draining = report.draining();
  worker.heard = now.mono;
  reports.push_back(session.id);

  Leases leases = terms();
  leases.set_report(report.report());
  std::set<const Task*> listed;
  for (const auto& running : report.running()) {
    const auto id = Ulid::from_bytes(running.attempt().task());
    Task* task = id ? queue_.find(*id) : nullptr;
    // Also in its next life: then it has a result that it kept.
    const bool is_its =
        task && task->epoch == running.attempt().epoch() && task->lease && task->lease->worker == worker.name;
    if (!is_its || task->cancel_asked) {
      auto* stop = leases.add_stop();
      *stop->mutable_attempt() = running.attempt();
      stop->set_cancelled(is_its);
    } else {
      *leases.add_renewed() = running.attempt();
    }
    if (!is_its) continue;
    listed.insert(task);
    task->lease->until = now.mono + options_.lease;
    task->lease->seen = true;
    task->lease->instance = worker.instance;
    task->last_line = running.last_line();
  }
  uint32_t on_the_way = 0;
  std::vector<std::pair<Task*, std::string>> lost;
  for (Task* task : queue_.running()) {
    const Lease& lease = *task->lease;
    if (lease.worker != worker.name || listed.contains(task)) continue;
    if (lease.instance != worker.instance) {
      lost.emplace_back(task, "its worker was started anew");
    } else if (lease.seen) {
      lost.emplace_back(task, "its worker knows nothing of it any more");
    } else if (now.mono - lease.assigned >= options_.start_within) {
      lost.emplace_back(task, "its worker did not begin it");
    } else {
      ++on_the_way;
      if (!worker.reported) send_assignment(*task, session.id);  // said in a session that is over
    }
  }
  worker.reported = true;
  worker.free = report.free() > on_the_way ? report.free() - on_the_way : 0;
  for (const auto& [task, why] : lost) lose(*task, why, now);
  hold(session.id, Frame::kLeases, leases.SerializeAsString());
}

void Dispatch::on_output(const Session& session, std::string_view body, Now now) {
  AttemptOutput output;
  if (!parse(output, body)) return sessions_.malformed(session, "AttemptOutput cannot be read", now);
  const auto id = Ulid::from_bytes(output.attempt().task());
  const Task* task = id ? queue_.find(*id) : nullptr;
  if (!task || !task->lease || task->epoch != output.attempt().epoch()) return;
  auto& [text, printed] = output_[task->id];
  text += output.text();
  printed += output.text().size();
  if (text.size() > options_.max_output) text.erase(0, text.size() - options_.max_output);
}

const Dispatch::Output& Dispatch::output(const Ulid& task) const {
  static const Output kNone;
  const auto found = output_.find(task);
  return found == output_.end() ? kNone : found->second;
}

void Dispatch::send_assignment(const Task& task, uint64_t session) {
  held_.push_back({session, Frame::kAssignment, {}, Assigned{session, task.id, task.epoch, {}}});
}

void Dispatch::give(Task& task, Worker& worker, Now now) {
  ++task.epoch;
  ++counters_.attempts;
  --worker.free;
  task.lease = Lease{worker.name, worker.instance, now.mono, now.mono + options_.lease, false};
  queue_.began(task);
  TaskRecord record;
  auto& assigned = *record.mutable_assigned();
  set(*assigned.mutable_attempt(), task);
  assigned.set_at_ms(now.wall.count());
  assigned.set_worker(worker.name);
  assigned.set_instance(worker.instance);
  append(record, task);
  send_assignment(task, worker.session);
}

void Dispatch::assign(const Assigned& assigned, std::string_view signal) {
  const Task* task = queue_.find(assigned.task);
  if (!task || !task->lease || task->epoch != assigned.epoch) return;
  Assignment assignment;
  set(*assignment.mutable_attempt(), *task);
  assignment.set_signal(std::string(signal));
  assignment.set_number(task->failures + task->losses + 1);
  sessions_.send(assigned.session, Frame::kAssignment, assignment.SerializeAsString());
}

void Dispatch::flush(Now now) {
  queue_.tick(now);
  fail_blocked(now);
  while (!draining_) {
    // The one with most room first, so that work is spread.
    Worker* next = nullptr;
    Task* task = nullptr;
    for (auto& [session, worker] : workers_) {
      if (worker.free == 0 || worker.draining || (next && worker.free <= next->free)) continue;
      if (Task* best = queue_.best(worker.offer)) {
        next = &worker;
        task = best;
      }
    }
    if (!next) return;
    give(*task, *next, now);
  }
}

// ---- time

void Dispatch::tick(Now now) {
  sessions_.tick(now);
  if (now.mono < next_sweep_) return;
  next_sweep_ = now.mono + kSweep;
  std::vector<Task*> expired;
  for (Task* task : queue_.running()) {
    if (now.mono >= task->lease->until) expired.push_back(task);
  }
  for (Task* task : expired) lose(*task, "its worker was not heard of for " + roughly(options_.lease), now);
  fail_without_runner(now);
}

Millis Dispatch::deadline() const { return std::min(next_sweep_, queue_.deadline()); }

void Dispatch::fail_blocked(Now now) {
  for (auto blocked = queue_.blocked(); !blocked.empty(); blocked = queue_.blocked()) {
    for (Task* task : blocked)
      fail(*task, fmt::format("{}, which did not succeed", queue_.why_waiting(*task, now)), now);
  }
}

void Dispatch::fail_without_runner(Now now) {
  if (workers_.empty()) return;
  for (const auto& [session, worker] : workers_) {
    if (!worker.reported) return;
    runners_.insert(worker.offer.runners.begin(), worker.offer.runners.end());
  }
  if (now.mono - started_.mono < options_.runner_within) return;
  for (Task* task : queue_.without_runner(runners_)) {
    if (task->epoch > 0) continue;  // some worker has it, and is away
    if (now.wall.count() - task->submitted_ms < options_.runner_within.count()) continue;
    fail(*task, fmt::format("no worker has a runner \"{}\"; there are: {}", task->runner, fmt::join(runners_, ", ")),
         now);
  }
}

// ---- what is made durable

Batch Dispatch::take_work() {
  CHECK(!under_way_, "one write and sync at a time");
  under_way_ = true;
  held_under_way_ = std::exchange(held_, {});
  fresh_under_way_ = std::exchange(fresh_, {});
  changed_under_way_ = std::exchange(changed_, {});
  return std::exchange(batch_, {});
}

void Dispatch::journalled(uint64_t segment, uint32_t base, Now) {
  CHECK(under_way_, "nothing was taken");
  under_way_ = false;
  for (const Fresh& fresh : std::exchange(fresh_under_way_, {})) {
    Task* task = queue_.find(fresh.task);
    if (!task) continue;
    const RecordPosition at{segment, base + fresh.offset, fresh.length};
    if (fresh.holds == Fresh::Holds::Prompt) {
      queue_.lies_at(*task, at);
    } else if (fresh.holds == Fresh::Holds::StaleEnd) {
      if (options_.files) stale.push_back({fresh.task, fresh.number, at});
    } else if (task->last && task->last->number == fresh.number) {
      queue_.ended_at(*task, at);
    }
  }
  auto durable = std::exchange(changed_under_way_, {});
  if (options_.files) changed.merge(durable);
  for (auto& held : std::exchange(held_under_way_, {})) {
    if (!held.assignment) {
      sessions_.send(held.session, held.field, held.body);
    } else if (const Task* task = queue_.find(held.assignment->task)) {
      held.assignment->at = task->at;
      assigned.push_back(*held.assignment);
    }
  }
}

}  // namespace detent
