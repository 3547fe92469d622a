#include "cli/mcp_tools.h"

#include <boost/json.hpp>
#include <utility>

#include "base/units.h"
#include "cli/mcp_arguments.h"
#include "cli/publishing.h"
#include "cli/tasks.h"
#include "proto/signal.pb.h"

namespace detent {

namespace json = boost::json;

namespace {

constexpr const char* kPublishSchema = R"({"type": "object", "additionalProperties": false,
  "required": ["type", "title"], "properties": {
    "type": {"type": "string",
      "description": "What it is: incident.detected, cron.output, briefing.morning, memory.updated, or one of your own (a.b)."},
    "title": {"type": "string", "description": "One line: what happened."},
    "body": {"type": "string", "description": "More of it, in Markdown."},
    "severity": {"enum": ["info", "notice", "warning", "error", "critical"]},
    "fields": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]},
      "description": "Short facts, such as {\"host\": \"web-1\"}."},
    "labels": {"type": "object", "additionalProperties": {"type": "string"},
      "description": "What the operator's routes look at."},
    "thread": {"type": "string", "description": "Signals with the same key are delivered in order and shown together."},
    "needs_response": {"type": "boolean",
      "description": "The operator must do something: it reaches their phone. Leave it out for what is merely worth knowing."},
    "id": {"type": "string", "description": "A ULID. Publishing the same id twice is publishing it once."}}})";

constexpr const char* kSubmitSchema = R"({"type": "object", "additionalProperties": false,
  "required": ["runner", "prompt"], "properties": {
    "runner": {"type": "string", "description": "What is to run it: a name from the workers' configuration."},
    "prompt": {"type": "string", "description": "The whole task; the runner knows nothing of this conversation."},
    "title": {"type": "string", "description": "One line for lists (default: the prompt's first line)."},
    "priority": {"type": "integer", "description": "Higher ones run first; 0 is usual."},
    "timeout": {"type": "string", "description": "How long an attempt may take: 90s, 30m, 2h."},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "after": {"type": ["string", "array"], "items": {"type": "string"},
      "description": "Ids of tasks that must have succeeded before it starts."}}})";

constexpr const char* kTaskStatusSchema = R"({"type": "object", "additionalProperties": false,
  "required": ["id"], "properties": {"id": {"type": "string", "description": "What submit answered."}}})";

constexpr const char* kInboxSchema = R"({"type": "object", "additionalProperties": false, "properties": {
    "peek": {"type": "boolean", "description": "Leave them unread."}}})";

McpAnswer published(const Ulid& id) {
  return {.text = json::serialize(json::object{{"id", id.text()}, {"durability", "JOURNALED"}})};
}

McpAnswer publish(Invocation& invocation, const std::string& source, const json::object& given) {
  const McpArguments arguments(
      given, {"type", "title", "body", "severity", "fields", "labels", "thread", "needs_response", "id"});
  Draft draft{.type = arguments.required_text("type"), .title = arguments.required_text("title"), .source = source};
  draft.body = arguments.text("body");
  if (const std::string severity = arguments.text("severity"); !severity.empty()) {
    draft.severity = parse_severity(severity);
    if (!draft.severity) throw Usage("\"severity\" must be one of info, notice, warning, error, critical");
  }
  draft.fields = arguments.pairs("fields");
  draft.labels = arguments.pairs("labels");
  draft.thread = arguments.text("thread");
  draft.needs_response = arguments.flag("needs_response");
  draft.id = arguments.id("id");
  return published(publish_signal(invocation, draft));
}

/// As `detent submit` does it.
McpAnswer submit(Invocation& invocation, const std::string& source, const json::object& given) {
  const McpArguments arguments(given, {"runner", "prompt", "title", "priority", "timeout", "labels", "after"});
  TaskRequest request;
  request.set_runner(arguments.required_text("runner"));
  request.set_body(arguments.required_text("prompt"));
  const std::string title = arguments.text("title");
  request.set_title(title.empty() ? title_of(request.body()) : title);
  if (const auto priority = arguments.whole_number("priority")) {
    if (!std::in_range<int32_t>(*priority)) throw Usage("\"priority\" is out of range");
    request.set_priority(static_cast<int32_t>(*priority));
  }
  if (const auto timeout = arguments.duration("timeout"))
    request.set_timeout_ms(static_cast<uint64_t>(timeout->count()));
  for (const Ulid& id : arguments.ids("after")) request.add_after(id.text());
  Draft draft{.type = "task.requested", .source = source};
  draft.labels = arguments.pairs("labels");
  return published(publish_signal(invocation, draft, &request));
}

McpAnswer task_status(const AskJson& ask, const json::object& given) {
  const McpArguments arguments(given, {"id"});
  const Ulid id = arguments.id("id");
  if (id == Ulid{}) throw Usage("\"id\" is missing");
  json::value task = ask({{"command", "task.show"}, {"id", id.text()}});
  task.as_object().erase("signal");  // the prompt, which the model may have by heart
  return {.text = json::serialize(task)};
}

McpAnswer inbox(const AskJson& ask, const json::object& given) {
  const McpArguments arguments(given, {"peek"});
  const bool peeks = arguments.flag("peek");
  json::value inbox = read_inbox(ask);
  McpAnswer answer{.text = json::serialize(inbox)};
  if (!peeks) answer.once_written = [ask, inbox = std::move(inbox)] { mark_read(ask, inbox); };
  return answer;
}

}  // namespace

std::vector<McpTool> mcp_tools(Invocation& invocation, const std::string& source, const AskJson& dispatcher) {
  return {
      {.name = "publish",
       .title = "Publish a signal",
       .description = "Publish a typed signal to Detent, which keeps it until it has reached the place where it "
                      "belongs. Returns once it is safely on disk.",
       .schema = kPublishSchema,
       .call = [&invocation, source](const json::object& given) { return publish(invocation, source, given); }},
      {.name = "submit",
       .title = "Hand off a task",
       .description = "Hand a long task to a worker on another machine and go on; its result comes back as a signal. "
                      "Returns the task's id.",
       .schema = kSubmitSchema,
       .call = [&invocation, source](const json::object& given) { return submit(invocation, source, given); }},
      {.name = "task_status",
       .title = "Look at a task",
       .description = "How a task is: its state, attempts, result.",
       .schema = kTaskStatusSchema,
       .reads_only = true,
       .call = [dispatcher](const json::object& given) { return task_status(dispatcher, given); }},
      {.name = "inbox",
       .title = "Read results",
       .description =
           "How tasks ended that nobody has read yet, with their results, the oldest first; they count as read "
           "afterwards. left_off says how many more there are.",
       .schema = kInboxSchema,
       .call = [dispatcher](const json::object& given) { return inbox(dispatcher, given); }}};
}

}  // namespace detent
