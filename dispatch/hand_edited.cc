// Tasks that people wrote into QUEUE.md, or changed there.
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include "dispatch/events.h"
#include "dispatch/task_files.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

/// The request with the values that the section has; its text only where that was changed, since QUEUE.md may hold the
/// beginning of it alone.
void set_values(TaskRequest& request, const QueueTask& task, bool with_text) {
  request.set_title(task.title);
  if (with_text) request.set_body(task.text);
  request.set_runner(task.runner);
  request.set_priority(task.priority.value_or(0));
  request.set_timeout_ms(static_cast<uint64_t>(task.timeout.value_or(Millis{0}).count()));
  request.set_retries(task.retries.value_or(0));
  request.set_not_before_ms(task.not_before.value_or(Millis{0}).count());
  request.clear_after();
  for (const std::string& id : task.after) request.add_after(id);
  request.clear_needs();
  for (const auto& [key, value] : task.labels) {
    auto* need = request.add_needs();
    need->set_key(key);
    need->set_value(value);
  }
}

}  // namespace

bool TaskFiles::ask_for(const HandEdit& edit, Now now) {
  TaskRequest request;
  const Task* known = core_.queue().find(edit.id);
  const bool is_new = !known;
  if (known && known->is_over()) {
    say_is_over(edit);
    return true;
  }
  if (known) {
    TaskRecord record;
    Signal signal;
    const auto bytes = known->at.segment ? bodies_->read(known->at) : Result<std::string_view>(std::string_view());
    if (!bytes && !is_lost(bytes.error())) return false;
    if (!bytes || !record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())) ||
        !signal.ParseFromString(signal_of(record)) || !request.ParseFromString(signal.payload())) {
      spdlog::warn("tasks: an edit of {} is not taken in: what it asked for before cannot be read", edit.id.text());
      return true;
    }
  }
  // QUEUE.md shows the beginning of a long text alone.
  const bool cut = known && edit.task.text.find(kCutNote) != std::string::npos;
  if (cut && edit.kind == QueueRequest::Kind::text_changed)
    spdlog::warn("tasks: the text of {} is cut in QUEUE.md, and so a change of it is not taken in", edit.id.text());
  set_values(request, edit.task, is_new || (edit.kind == QueueRequest::Kind::text_changed && !cut));
  Draft draft;
  draft.type = "task.requested";
  draft.source = "QUEUE.md";
  draft.id = edit.id;
  const auto built = builder_.build(draft, request, {Millis{0}, edit.id.time()});
  if (!built) {
    spdlog::warn("tasks: {} \"{}\" cannot be a task: {}", edit.id.text(), edit.task.title, built.error().what);
    return true;
  }
  if (!is_new) {
    core_.revise(edit.id, built->signal, now);
    return true;
  }
  if (const auto taken = core_.submit(built->signal, now); !taken) {
    spdlog::warn("tasks: {} \"{}\" is taken in later: {}", edit.id.text(), edit.task.title, taken.error().what);
    return false;
  }
  if (!core_.queue().find(edit.id)) say_is_over(edit);
  return true;
}

/// Its section says otherwise than what it is.
void TaskFiles::say_is_over(const HandEdit& edit) {
  changed_.insert(edit.id);
  spdlog::warn("tasks: {} is over: to have it done again, `detent tasks retry`, or a section without an id",
               edit.id.text());
}

}  // namespace detent
