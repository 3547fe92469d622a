#include "dispatch/events.h"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

#include <cstring>

#include "base/utf8.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

/// With the time at which it ended in front, as every id has the time of its signal.
Ulid id_of(const Task& task) {
  Ulid id;
  for (int i = 0; i < 6; ++i) id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(task.last->at_ms >> (40 - 8 * i));
  const std::string of = fmt::format("{} {} ended", task.id.text(), task.last->epoch);
  const XXH128_hash_t hash = XXH3_128bits(of.data(), of.size());
  std::memcpy(&id.bytes[6], &hash.low64, 8);
  std::memcpy(&id.bytes[14], &hash.high64, 2);
  return id;
}

}  // namespace

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
  draft.severity = good ? INFO : end.state == CANCELLED ? NOTICE : ERROR;
  draft.needs_response = end.needs_response;
  draft.thread = task.id.text();
  draft.in_reply_to = task.id;
  draft.id = id_of(task);
  return builder.build(draft, payload, {Millis{0}, Millis{end.at_ms}});
}

}  // namespace detent
