#include "dispatch/events.h"

#include <spdlog/fmt/fmt.h>

#include "base/utf8.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"

namespace detent {

std::string_view state_name(int state) {
  switch (state) {
    case SUCCEEDED:
      return "succeeded";
    case FAILED:
      return "failed";
    case TIMED_OUT:
      return "timed_out";
    case CANCELLED:
      return "cancelled";
    default:
      return "lost";
  }
}

std::string_view state_of(const Task& task) {
  if (task.is_over()) return state_name(task.last->state);
  return task.lease ? "running" : "queued";
}

const std::string& signal_of(const TaskRecord& record) {
  return record.has_revised() ? record.revised().signal() : record.submitted().signal();
}

Result<Built> end_signal(const Task& task, std::string_view result, SignalBuilder& builder) {
  const End& end = *task.last;
  const bool good = end.state == SUCCEEDED;
  const std::string took = end.took_ms ? " after " + roughly(Millis{static_cast<int64_t>(end.took_ms)}) : "";
  std::string how = good ? "done" + took : std::string(state_name(end.state)) + took;
  if (end.state == TIMED_OUT) how = "timed out" + took;
  const std::string title = fmt::format("{}: {}", task.title.empty() ? task.runner : task.title, how);
  Subagent payload;
  payload.set_title(std::string(head_of(title, 512)));
  payload.set_body(std::string(result));
  payload.set_agent(task.runner);
  payload.set_task(task.id.text());
  payload.set_took_ms(static_cast<int64_t>(end.took_ms));
  payload.set_error(end.error);
  const auto fact = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    auto* field = payload.add_fields();
    field->set_name(name);
    field->set_value(value);
    field->set_short_(true);
  };
  fact("worker", end.worker);
  if (task.epoch > 1) fact("attempts", std::to_string(task.epoch));
  Draft draft;
  draft.type = good ? "subagent.completed" : "subagent.failed";
  draft.source = "detent-dispatch";
  draft.severity = end.severity.value_or(good ? INFO : end.state == CANCELLED ? NOTICE : ERROR);
  draft.needs_response = end.needs_response;
  draft.thread = task.id.text();
  draft.in_reply_to = task.id;
  draft.id = Ulid::derived(Millis{end.at_ms}, fmt::format("{} {} ended", task.id.text(), end.epoch));
  return builder.build(draft, payload, {Millis{0}, Millis{end.at_ms}});
}

}  // namespace detent
