#include "dispatch/admin.h"

#include <spdlog/fmt/fmt.h>

#include <boost/json.hpp>

#include "dispatch/events.h"
#include "dispatch/task_files.h"
#include "proto/json.h"
#include "proto/task.pb.h"

namespace detent {

namespace json = boost::json;

namespace {

constexpr size_t kMaxListed = 1000;
constexpr Millis kMaxWait{2'000};
constexpr size_t kMaxWaiting = 1000;

std::string text(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::string string(std::string_view value) { return json::string(value.data(), value.size()); }

}  // namespace

json::object brief(const Task& task, const Queue& queue, Now now) {
  json::object out{{"id", task.id.text()},      {"title", task.title},
                   {"runner", task.runner},     {"state", string(state_of(task))},
                   {"priority", task.priority}, {"submitted_ms", task.submitted_ms},
                   {"attempts", task.epoch}};
  if (const auto why = queue.why_waiting(task, now); !why.empty()) out["waits"] = why;
  if (task.cancel_asked && !task.is_over()) out["cancel_asked"] = true;
  if (task.lease) {
    out["worker"] = task.lease->worker;
    out["running_ms"] = (now.mono - task.lease->assigned).count();
    if (!task.last_line.empty()) out["last_line"] = task.last_line;
  } else if (task.last) {
    out["worker"] = task.last->worker;
    out["ended_ms"] = task.last->at_ms;
    out["took_ms"] = task.last->took_ms;
    out["exit_code"] = task.last->exit_code;
    if (!task.last->error.empty()) out["error"] = task.last->error;
  }
  if (task.is_over()) out["read"] = task.read;
  return out;
}

TaskAdmin::TaskAdmin(Dispatch& core, Journal& journal, const TaskFiles* files)
    : core_(core), files_(files), bodies_(journal.reader(64 << 10)) {}
TaskAdmin::~TaskAdmin() = default;

void TaskAdmin::add(const std::string& name, Command command) { more_[name] = std::move(command); }

void TaskAdmin::answer(const TaskQuestion& question, Now now) {
  boost::system::error_code bad;
  const json::value value = json::parse(question.json, bad);
  if (bad || !value.is_object()) return core_.answer(question, {}, "the request is not a JSON object");
  if (text(value.get_object(), "command") == "task.wait") return wait(question, value.get_object(), now);
  const auto answered = answer(value.get_object(), now);
  if (answered) {
    core_.answer(question, json::serialize(*answered), {});
  } else {
    core_.answer(question, {}, answered.error().what);
  }
}

Result<json::object> TaskAdmin::answer(const json::object& question, Now now) {
  const std::string command = text(question, "command");
  if (command == "task.list") return list(question, now);
  if (command == "inbox") return inbox(question, now);
  if (command == "inbox.read") return mark_read(question);
  if (command == "worker.list") return workers(now);
  if (command == "status") return status(now);
  if (const auto more = more_.find(command); more != more_.end()) return more->second(question, now);
  if (command != "task.show" && command != "task.cancel" && command != "task.logs" && command != "task.retry")
    return Error{fmt::format("the dispatcher has no command \"{}\"", command)};
  const std::string id = text(question, "id");
  const auto parsed = Ulid::parse(id);
  if (!parsed) return Error{fmt::format("\"{}\" is not the id of a task", id)};
  const Task* task = core_.queue().find(*parsed);
  if (!task) return Error{fmt::format("no task {} is known: `detent tasks list` shows those that are", id)};
  if (command == "task.show") return show(*task, now);
  if (command == "task.logs") return logs(*task, now);
  if (command == "task.retry") {
    if (const auto retried = core_.retry(*parsed, now); !retried) return retried.error();
    return brief(*task, core_.queue(), now);
  }
  if (!core_.cancel(*parsed, now)) return Error{fmt::format("task {} is over: {}", id, state_of(*task))};
  return brief(*task, core_.queue(), now);
}

json::object TaskAdmin::list(const json::object& question, Now now) const {
  const std::string state = text(question, "state");
  const auto* limit = question.if_contains("limit");
  const size_t most = limit && limit->is_int64() && limit->get_int64() > 0
                          ? std::min(kMaxListed, static_cast<size_t>(limit->get_int64()))
                          : kMaxListed;
  json::array tasks;
  size_t left_off = 0;
  const auto& all = core_.queue().all();
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    if (!state.empty() && state_of(*at->second) != state) continue;
    if (tasks.size() < most) {
      tasks.push_back(brief(*at->second, core_.queue(), now));
    } else {
      ++left_off;
    }
  }
  json::object out{{"tasks", std::move(tasks)}, {"left_off", left_off}};
  if (files_) out["faults"] = json::array(files_->faults().begin(), files_->faults().end());
  return out;
}

json::object TaskAdmin::show(const Task& task, Now now) {
  json::object out = brief(task, core_.queue(), now);
  TaskRecord record;
  const auto bytes = task.at.segment ? bodies_->read(task.at) : Result<std::string_view>(std::string_view());
  if (bytes && record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
    boost::system::error_code bad;
    if (auto signal = json::parse(signal_to_json(signal_of(record)), bad); !bad) out["signal"] = signal;
  }
  if (const auto added = add_result(task, out); !added) out["result_error"] = added.error().what;
  return out;
}

Result<void> TaskAdmin::add_result(const Task& task, json::object& out) {
  if (!task.last || !task.last->at.segment) return {};
  const auto bytes = bodies_->read(task.last->at);
  if (!bytes) return bytes.error();
  TaskRecord record;
  if (!record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())))
    return Error{"the record of its end is malformed", EBADMSG};
  out["result"] = record.ended().ended().result();
  out["output_bytes"] = record.ended().ended().output_bytes();
  return {};
}

json::object TaskAdmin::logs(const Task& task, Now now) const {
  json::object out = brief(task, core_.queue(), now);
  out["output"] = string(core_.output(task.id).text);
  out["printed"] = core_.output(task.id).printed;
  return out;
}

void TaskAdmin::wait(const TaskQuestion& question, const json::object& asked, Now now) {
  const auto id = Ulid::parse(text(asked, "id"));
  if (!id) return core_.answer(question, {}, fmt::format("\"{}\" is not the id of a task", text(asked, "id")));
  const auto* printed = asked.if_contains("printed");
  boost::system::error_code none;
  const uint64_t known = printed ? printed->to_number<uint64_t>(none) : 0;
  if (waiting_.size() >= kMaxWaiting) return core_.answer(question, {}, "too many wait for tasks: ask again later");
  waiting_.push_back({question, *id, text(asked, "state"), known, now.mono + kMaxWait});
}

void TaskAdmin::tick(Now now) {
  std::erase_if(waiting_, [&](const Waiting& one) {
    const Task* task = core_.queue().find(one.id);
    const bool changed =
        task && (task->is_over() || state_of(*task) != one.state || core_.output(one.id).printed != one.printed);
    if (!changed && now.mono < one.until) return false;
    // It may be on its way here still, or so old that it was forgotten.
    core_.answer(one.question, json::serialize(task ? logs(*task, now) : json::object{{"state", "unknown"}}), {});
    return true;
  });
}

json::object TaskAdmin::workers(Now now) const {
  json::array workers;
  for (const auto& [session, worker] : core_.workers()) {
    json::array runners(worker.offer.runners.begin(), worker.offer.runners.end());
    uint64_t running = 0;
    for (const Task* task : core_.queue().running()) running += task->lease->worker == worker.name;
    workers.push_back({{"name", worker.name},
                       {"version", worker.version},
                       {"runners", std::move(runners)},
                       {"free", worker.free},
                       {"running", running},
                       {"draining", worker.draining},
                       {"heard_ms", (now.mono - worker.heard).count()}});
  }
  return {{"workers", std::move(workers)}};
}

json::object TaskAdmin::status(Now now) const {
  json::object out = workers(now);
  out["queued"] = core_.queue().queued();
  out["running"] = core_.queue().running().size();
  const auto& counters = core_.counters();
  out["submitted"] = counters.submitted;
  out["attempts"] = counters.attempts;
  out["lost"] = counters.lost;
  out["stale"] = counters.stale;
  if (files_ && !files_->trouble().empty()) out["git"] = files_->trouble();
  return out;
}

}  // namespace detent
