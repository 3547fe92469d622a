#include "dispatch/schedule_admin.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

namespace detent {

namespace json = boost::json;

namespace {

constexpr int64_t kMaxTimes = 1000;

std::string text(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// As a number, and as clocks show it in the schedule's zone. Nothing where the time is 0.
void put(json::object& out, std::string_view name, Millis time, const TimeZone& zone) {
  if (time == Millis{0}) return;
  out[json::string_view(name.data(), name.size())] = zone.show(time);
  out[std::string(name) + "_ms"] = time.count();
}

json::object shown(const ScheduleEntry& entry, const std::vector<Schedules::View>& views) {
  const Schedule& schedule = entry.schedule;
  json::object out{{"name", schedule.name},
                   {"cron", schedule.cron.text()},
                   {"zone", schedule.zone.name()},
                   {"runner", entry.runner},
                   {"title", entry.title.empty() ? schedule.name : entry.title},
                   {"enabled", entry.enabled},
                   {"missed", 0}};
  const auto view = std::find_if(views.begin(), views.end(),
                                 [&](const Schedules::View& one) { return one.schedule.name == schedule.name; });
  if (view == views.end()) return out;
  put(out, "next", view->next, schedule.zone);
  put(out, "due", view->due, schedule.zone);
  put(out, "fired", view->mark.fired, schedule.zone);
  out["missed"] = view->mark.missed.count;
  put(out, "missed_first", view->mark.missed.first, schedule.zone);
  put(out, "missed_last", view->mark.missed.last, schedule.zone);
  return out;
}

json::object list(const Recurring& recurring) {
  json::array schedules;
  const auto views = recurring.views();
  for (const ScheduleEntry& entry : recurring.entries()) schedules.push_back(shown(entry, views));
  return {{"schedules", std::move(schedules)}};
}

Result<json::object> next(const Recurring& recurring, const json::object& question) {
  const std::string name = text(question, "name");
  const auto* asked = question.if_contains("count");
  const size_t count =
      static_cast<size_t>(asked && asked->is_int64() ? std::clamp<int64_t>(asked->get_int64(), 1, kMaxTimes) : 10);
  std::vector<Recurring::Time> times;
  bool known = false;
  for (const ScheduleEntry& entry : recurring.entries()) {
    if (!name.empty() && entry.schedule.name != name) continue;
    known = true;
    const auto its = recurring.next(entry.schedule.name, count);
    times.insert(times.end(), its.begin(), its.end());
  }
  if (!name.empty() && !known) return recurring.unknown(name);
  std::stable_sort(times.begin(), times.end(), [](const auto& a, const auto& b) { return a.due < b.due; });
  times.resize(std::min(times.size(), count));
  json::array out;
  for (const auto& time : times) {
    json::object one{{"name", time.schedule->name}, {"zone", time.schedule->zone.name()}};
    put(one, "scheduled", time.scheduled, time.schedule->zone);
    put(one, "due", time.due, time.schedule->zone);
    out.push_back(std::move(one));
  }
  return json::object{{"times", std::move(out)}};
}

Result<json::object> run(Recurring& recurring, const json::object& question, Now now) {
  std::optional<Ulid> id;
  if (question.contains("id")) {
    id = Ulid::parse(text(question, "id"));
    if (!id || *id == Ulid{}) return Error{fmt::format("\"{}\" is not the id of a task", text(question, "id"))};
  }
  const auto task = recurring.run(text(question, "name"), id, now);
  if (!task) return task.error();
  return json::object{{"id", task->text()}};
}

}  // namespace

void add_schedule_commands(TaskAdmin& admin, Recurring& recurring) {
  admin.add("schedule.list", [&](const json::object&, Now) { return Result<json::object>(list(recurring)); });
  admin.add("schedule.next", [&](const json::object& question, Now) { return next(recurring, question); });
  admin.add("schedule.run", [&](const json::object& question, Now now) { return run(recurring, question, now); });
}

}  // namespace detent
