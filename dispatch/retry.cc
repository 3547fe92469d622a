// A task that did not succeed is queued again because somebody asked.
#include <spdlog/fmt/fmt.h>

#include "dispatch/core.h"
#include "dispatch/events.h"
#include "proto/task.pb.h"

namespace detent {

Result<void> Dispatch::retry(const Ulid& id, Now now) {
  Task* task = queue_.find(id);
  if (!task) return Error{fmt::format("no task {} is known", id.text())};
  if (!task->is_over())
    return Error{fmt::format("task {} is {}: only one that is over is retried", id.text(), state_of(*task))};
  if (task->last->state == SUCCEEDED)
    return Error{fmt::format("task {} has succeeded: submit another to have it done once more", id.text())};
  if (task->runner.empty()) return Error{fmt::format("task {} names no runner", id.text())};
  if (!task->at.segment) return Error{fmt::format("task {} cannot be retried: its prompt was lost", id.text())};
  if (const auto before = queue_.waits_for(*task)) {
    const Task* other = queue_.find(*before);
    if (!other || other->is_over())
      return Error{
          fmt::format("task {} comes after {}, which {}", id.text(), before->text(),
                      other ? "did not succeed: retry that one first" : "is not known any more: submit it anew")};
  }
  TaskRecord record;
  record.mutable_retried()->set_task(std::string(id.view()));
  record.mutable_retried()->set_at_ms(now.wall.count());
  append(record, *task);
  take_retry(*task, now);
  return {};
}

/// What the record says becomes so; at a restart likewise.
void Dispatch::take_retry(Task& task, Now now) {
  untold_.erase(task.id);
  queue_.reopen(task);
  for (Task* dependent : queue_.blocked()) queue_.enqueue(*dependent, now);  // perhaps by this one
  task.failures = task.losses = 0;
  task.cancel_asked = task.read = false;
  task.retry_at = Millis{0};
  queue_.enqueue(task, now);
}

}  // namespace detent
