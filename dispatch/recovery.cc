// What a restart makes of the journal, and the snapshot that bounds it.
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/result.h"
#include "dispatch/core.h"
#include "dispatch/past.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

void remember_id(IdWindow& ids, std::string_view signal_id, std::string_view signal) {
  if (signal_id.size() != 16) return;
  SignalId id;
  std::memcpy(id.data(), signal_id.data(), id.size());
  ids.remember(id, XXH3_64bits(signal.data(), signal.size()));
}

}  // namespace

void Dispatch::add_to(TaskSnapshot& snapshot) const {
  CHECK(batch_.empty(), "a snapshot belongs to the work taken last");
  snapshot.set_next_number(next_number_);
  for (const auto& entry : queue_.all()) {
    const Task& task = *entry.second;
    auto& out = *snapshot.add_tasks();
    out.set_task(std::string(task.id.view()));
    out.set_number(task.number);
    out.set_epoch(task.epoch);
    out.set_failures(task.failures);
    out.set_losses(task.losses);
    out.set_cancel_asked(task.cancel_asked);
    out.set_told(task.told);
    out.set_read(task.read);
    out.set_unblocked(task.after.empty());
    if (task.lease) {
      out.mutable_assigned()->set_worker(task.lease->worker);
      out.mutable_assigned()->set_instance(task.lease->instance);
    }
    if (task.last) {
      auto& last = *out.mutable_last();
      last.set_at_ms(task.last->at_ms);
      last.set_worker(task.last->worker);
      last.set_final(task.is_over());
      last.set_number(task.last->number);
      auto& ended = *last.mutable_ended();
      ended.mutable_attempt()->set_epoch(task.last->epoch);
      ended.set_state(static_cast<AttemptState>(task.last->state));
      ended.set_exit_code(task.last->exit_code);
      ended.set_took_ms(task.last->took_ms);
      ended.set_needs_response(task.last->needs_response);
      if (task.last->severity) ended.set_severity(*task.last->severity);
      ended.set_error(task.last->error);
    }
  }
}

void Dispatch::restore(const TaskSnapshot& snapshot) {
  next_number_ = snapshot.next_number();
  for (const auto& state : snapshot.tasks()) {
    if (const auto id = Ulid::from_bytes(state.task())) past_->tasks[*id] = state.SerializeAsString();
  }
}

void Dispatch::replay(const TaskRecord& record, const RecordPosition& position, bool after_snapshot) {
  if (record.has_submitted()) return replay_submitted(record.submitted(), position, after_snapshot);
  if (record.has_revised()) return replay_revised(record.revised(), position, after_snapshot);
  const std::string& of = record.has_assigned()       ? record.assigned().attempt().task()
                          : record.has_ended()        ? record.ended().ended().attempt().task()
                          : record.has_cancel_asked() ? record.cancel_asked().task()
                          : record.has_read()         ? record.read().task()
                          : record.has_retried()      ? record.retried().task()
                                                      : record.told().task();
  const auto id = Ulid::from_bytes(of);
  Task* task = id ? queue_.find(*id) : nullptr;
  if (!task) {  // forgotten since, or its record was damaged
    if (id && record.has_told()) past_->tasks.erase(*id);
    return;
  }
  if (record.has_ended() && !record.ended().stale()) {
    const uint32_t number = record.ended().number(), known = task->last ? task->last->number : 0;
    if (after_snapshot && number > known) take_end(*task, record.ended(), Now{});
    if (task->last && task->last->number == number) queue_.ended_at(*task, position);
  }
  if (record.has_ended() && record.ended().stale() && options_.files)
    stale.push_back({task->id, record.ended().ended().attempt().epoch(), position});
  if (!after_snapshot) return;
  if (record.has_assigned()) {
    task->epoch = record.assigned().attempt().epoch();
    task->lease = Lease{record.assigned().worker(), record.assigned().instance()};
    queue_.began(*task);
  } else if (record.has_cancel_asked()) {
    task->cancel_asked = true;
  } else if (record.has_read()) {
    task->read = task->is_over() && task->last->number == record.read().end();
  } else if (record.has_retried()) {
    if (task->is_over()) take_retry(*task, Now{});
  } else if (record.has_told()) {
    untold_.erase(task->id);
    queue_.told(*task);
  }
}

void Dispatch::replay_submitted(const TaskSubmitted& submitted, const RecordPosition& position, bool after_snapshot) {
  Task task = task_of(submitted);
  if (!ids_.covered(position.segment)) remember_id(ids_, task.id.view(), submitted.signal());
  if (after_snapshot) {
    missing_ += submitted.number() - std::min(submitted.number(), next_number_);
    next_number_ = std::max(next_number_, submitted.number() + 1);
  }
  const auto past = past_->tasks.extract(task.id);
  if ((!after_snapshot && past.empty()) || queue_.find(task.id)) return;  // forgotten; or a batch kept twice
  Task& added = queue_.add(std::move(task));
  queue_.lies_at(added, position);
  past.empty() ? queue_.enqueue(added, Now{}) : restore_state(added, past.mapped());
}

void Dispatch::replay_revised(const TaskSubmitted& revised, const RecordPosition& position, bool after_snapshot) {
  Task asked = task_of(revised);
  Task* task = queue_.find(asked.id);
  // The record that it takes the place of may be gone, with its segment.
  if (!task) return replay_submitted(revised, position, after_snapshot);
  // What it waits for has succeeded by the snapshot, and may be forgotten.
  if (!after_snapshot && past_->unblocked.contains(task->id)) asked.after.clear();
  queue_.revise(*task, std::move(asked), Now{});
  queue_.lies_at(*task, position);
}

void Dispatch::restore_state(Task& task, const std::string& encoded) {
  TaskState state;
  state.ParseFromString(encoded);
  task.epoch = state.epoch();
  task.cancel_asked = state.cancel_asked();
  if (state.unblocked()) {
    task.after.clear();
    past_->unblocked.insert(task.id);
  }
  queue_.enqueue(task, Now{});
  if (state.has_last()) take_end(task, state.last(), Now{});
  task.failures = state.failures();
  task.losses = state.losses();
  task.read = state.read();
  if (state.has_assigned()) {
    task.lease = Lease{state.assigned().worker(), state.assigned().instance()};
    queue_.began(task);
  }
  if (state.told()) {
    untold_.erase(task.id);
    queue_.told(task);
  }
}

uint64_t Dispatch::recovered(Now now) {
  started_ = now;
  // Of what the snapshot knew and no record tells any more, there is no prompt.
  for (const auto& [id, encoded] : past_->tasks) {
    TaskState state;
    state.ParseFromString(encoded);
    if (state.last().final() && state.told()) continue;
    Task task;
    task.id = id;
    task.number = state.number();
    task.title = "(its text was lost)";
    Task& added = queue_.add(std::move(task));
    restore_state(added, encoded);
    if (!added.is_over()) fail(added, "its text in the journal was damaged", now);
  }
  past_.reset();
  for (const auto& entry : queue_.all()) {
    Task& task = *entry.second;
    if (task.lease) {
      task.lease->assigned = now.mono;
      task.lease->until = now.mono + options_.lease;
    } else if (!task.is_over()) {
      if (task.retry_at.count()) task.retry_at += now.mono;
      queue_.enqueue(task, now);
    }
  }
  // Not before: a record read later may have said that one was retried.
  queue_.forget();
  return missing_;
}

}  // namespace detent
