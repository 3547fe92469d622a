// How attempts end, and what follows from it.
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "dispatch/core.h"
#include "ledger/tasks/result_file.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

/// After the n-th failure or loss: doubled each time, up to an hour.
Millis backoff(Millis first, uint32_t n) {
  constexpr Millis kMost{3'600'000};
  return std::min(kMost, first * (int64_t{1} << std::min(n - 1, 16u)));
}

/// A task ended: what its last attempt made of it.
End end_of(const TaskEnded& record) {
  const AttemptEnded& ended = record.ended();
  End end;
  end.state = ended.state();
  end.epoch = ended.attempt().epoch();
  end.at_ms = record.at_ms();
  end.exit_code = ended.exit_code();
  end.took_ms = ended.took_ms();
  end.needs_response = ended.needs_response();
  if (ended.has_severity()) end.severity = ended.severity();
  end.worker = record.worker();
  end.error = ended.error();
  end.number = record.number();
  return end;
}

/// What the runner's answer says about itself counts.
void obey_answer(AttemptEnded& ended) {
  const RunnerAnswer answer = read_answer(ended.result());
  if (answer.needs_response) ended.set_needs_response(true);
  if (answer.severity) ended.set_severity(*answer.severity);
  if (answer.body.size() != ended.result().size()) ended.set_result(std::string(answer.body));
}

}  // namespace

void Dispatch::on_ended(const Session& session, std::string_view body, Now now) {
  AttemptEnded ended;
  if (!ended.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return sessions_.malformed(session, "AttemptEnded cannot be read", now);
  obey_answer(ended);
  AttemptTaken taken;
  *taken.mutable_attempt() = ended.attempt();
  const auto id = Ulid::from_bytes(ended.attempt().task());
  Task* task = id ? queue_.find(*id) : nullptr;
  const uint32_t epoch = ended.attempt().epoch();
  const bool is_last = task && task->epoch == epoch;
  // Also where it was believed lost and none has begun since: what is done need not be done again.
  const bool is_found = is_last && !task->is_over() && !task->lease && task->last && task->last->state == LOST &&
                        ended.state() == SUCCEEDED;
  const bool is_repeat = is_last && !task->lease && task->last && task->last->epoch >= epoch && !is_found;
  if (task && !is_repeat) {
    if (is_found || (is_last && task->lease && !task->is_over())) {
      end_attempt(*task, std::move(ended), now);
    } else {
      taken.set_stale(true);
      keep_stale(*task, std::move(ended), session.name, now);
    }
  } else {
    taken.set_stale(!task);
  }
  hold(session.id, Frame::kAttemptTaken, taken.SerializeAsString());
}

/// Of an attempt that was given up: kept, and without effect.
void Dispatch::keep_stale(const Task& task, AttemptEnded ended, const std::string& worker, Now now) {
  ++counters_.stale;
  TaskRecord record;
  auto& out = *record.mutable_ended();
  *out.mutable_ended() = std::move(ended);
  out.set_at_ms(now.wall.count());
  out.set_worker(worker);
  out.set_stale(true);
  append(record, task, Fresh::Holds::StaleEnd, out.ended().attempt().epoch());
}

void Dispatch::end_attempt(Task& task, AttemptEnded ended, Now now, bool for_good) {
  set(*ended.mutable_attempt(), task);
  TaskRecord record;
  auto& out = *record.mutable_ended();
  out.set_at_ms(now.wall.count());
  out.set_number(task.last ? task.last->number + 1 : 1);
  if (task.lease) out.set_worker(task.lease->worker);
  const int state = ended.state();
  const uint32_t failures = task.failures + (state == FAILED || state == TIMED_OUT);
  const uint32_t losses = task.losses + (state == LOST);
  if (task.cancel_asked && state != SUCCEEDED) {
    ended.set_state(CANCELLED);
    for_good = true;
  }
  // A worker that drains cancels what it runs: nobody asked for the task to end.
  const bool again = !for_good && ((state == LOST && losses <= options_.max_losses) || state == CANCELLED ||
                                   ((state == FAILED || state == TIMED_OUT) && failures <= task.retries));
  out.set_final(!again);
  if (again && (state == FAILED || state == TIMED_OUT))
    out.set_delay_ms(static_cast<uint32_t>(backoff(options_.first_backoff, failures).count()));
  if (again && state == LOST && losses > 1)
    out.set_delay_ms(static_cast<uint32_t>(backoff(options_.first_backoff, losses - 1).count()));
  *out.mutable_ended() = std::move(ended);
  take_end(task, out, now);
  append(record, task, Fresh::Holds::End, out.number());
}

/// What the record says becomes so; at a restart likewise.
void Dispatch::take_end(Task& task, const TaskEnded& record, Now now) {
  const int state = record.ended().state();
  task.failures += state == FAILED || state == TIMED_OUT;
  task.losses += state == LOST;
  queue_.forget_end(task);
  task.last = end_of(record);
  task.lease.reset();
  task.last_line.clear();
  output_.erase(task.id);
  if (record.final()) {
    untold_.insert(task.id);
    return queue_.finished(task, now);
  }
  task.retry_at = now.mono + Millis{record.delay_ms()};
  queue_.enqueue(task, now);
}

void Dispatch::lose(Task& task, std::string_view why, Now now) {
  ++counters_.lost;
  spdlog::warn("attempt {} of task {} is given up: {}", task.epoch, task.id.text(), why);
  AttemptEnded ended;
  ended.set_state(LOST);
  ended.set_error(std::string(why));
  end_attempt(task, std::move(ended), now);
}

void Dispatch::fail(Task& task, std::string_view why, Now now) {
  AttemptEnded ended;
  ended.set_state(FAILED);
  ended.set_error(std::string(why));
  end_attempt(task, std::move(ended), now, true);
}

void Dispatch::unreadable(const Ulid& id, uint32_t epoch, bool lost, std::string_view why, Now now) {
  Task* task = queue_.find(id);
  if (!task || !task->lease || task->epoch != epoch) return;
  lost ? fail(*task, fmt::format("its prompt cannot be read any more: {}", why), now)
       : lose(*task, fmt::format("its prompt could not be read: {}", why), now);
}

}  // namespace detent
