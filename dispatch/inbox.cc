// The inbox: how tasks ended that nobody has read yet.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "dispatch/admin.h"
#include "dispatch/inbox.h"

namespace detent {

namespace json = boost::json;

namespace {

/// What an answer has at most: JSON may make six bytes of one, and a frame has 8 MiB.
constexpr size_t kMaxTasks = 100, kMaxBytes = 1 << 20, kMaxMarked = 1000;

Result<std::pair<Ulid, uint32_t>> end_in(const json::value& value) {
  const auto* object = value.if_object();
  const auto* id = object ? object->if_contains("id") : nullptr;
  const auto* end = object ? object->if_contains("end") : nullptr;
  const auto ulid = id && id->is_string() ? Ulid::parse(std::string_view(id->get_string())) : std::nullopt;
  boost::system::error_code bad;
  const uint32_t number = end && end->is_number() ? end->to_number<uint32_t>(bad) : 0;
  if (!ulid || bad || !number)
    return Error{fmt::format("what was read is a task's \"id\" and \"end\" each, not {}", json::serialize(value))};
  return std::pair{*ulid, number};
}

}  // namespace

std::vector<const Task*> unread(const Queue& queue) {
  std::vector<const Task*> unread;
  for (const auto& [number, task] : queue.all()) {
    if (task->is_over() && !task->read && task->last->at.segment) unread.push_back(task);
  }
  std::sort(unread.begin(), unread.end(), [](const Task* a, const Task* b) {
    return std::tie(a->last->at_ms, a->number) < std::tie(b->last->at_ms, b->number);
  });
  return unread;
}

Result<json::object> TaskAdmin::inbox(const json::object& question, Now now) {
  const auto* limit = question.if_contains("limit");
  const size_t most = limit && limit->is_int64() && limit->get_int64() > 0
                          ? std::min(kMaxTasks, static_cast<size_t>(limit->get_int64()))
                          : kMaxTasks;
  const auto all = unread(core_.queue());
  json::array tasks;
  size_t bytes = 0;
  for (const Task* task : all) {
    if (tasks.size() == most) break;
    json::object one = brief(*task, core_.queue(), now);
    if (const auto added = add_result(*task, one); !added) {
      if (!is_lost(added.error()))
        return Error{fmt::format("the result of {} cannot be read now: {}", task->id.text(), added.error().what)};
      one["result"] = "(its result was lost: the journal was damaged)";
    }
    bytes += one["result"].as_string().size();
    if (bytes > kMaxBytes && !tasks.empty()) break;
    one["end"] = task->last->number;
    tasks.push_back(std::move(one));
  }
  const size_t left_off = all.size() - tasks.size();
  return json::object{{"tasks", std::move(tasks)}, {"left_off", left_off}};
}

Result<json::object> TaskAdmin::mark_read(const json::object& question) {
  const auto* read = question.if_contains("read");
  if (!read || !read->is_array() || read->get_array().size() > kMaxMarked)
    return Error{fmt::format("\"read\" must be a list of at most {} ends", kMaxMarked)};
  std::vector<std::pair<Ulid, uint32_t>> ends;
  for (const auto& value : read->get_array()) {
    const auto end = end_in(value);
    if (!end) return end.error();
    ends.push_back(*end);
  }
  size_t marked = 0;
  for (const auto& [id, end] : ends) marked += core_.mark_read(id, end);
  return json::object{{"marked", marked}};
}

}  // namespace detent
