#include "broker/alarms.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include "proto/journal.pb.h"

namespace detent {

void Alarms::raise(const std::string& name, const std::string& cause, const std::string& remedy, Now now) {
  if (!standing_.try_emplace(name, Alarm{cause, now.wall.count()}).second) return;
  ++count_;
  spdlog::warn("{}", cause);
  record(name, false, cause, now);
  publish_({.alarm = name, .title = cause, .body = remedy}, now);
}

void Alarms::clear(std::string_view name, std::string_view is_well, Now now) {
  const auto found = standing_.find(name);
  if (found == standing_.end()) return;
  const auto [alarm, was] = *found;
  standing_.erase(found);
  const std::string title = fmt::format("resolved: {}", is_well);
  spdlog::info("{}", title);
  record(alarm, true, {}, now);
  publish_({.alarm = alarm,
            .title = title,
            .body = was.cause.empty() ? "" : "It was: " + was.cause,
            .resolved = true,
            .since_ms = was.since_ms},
           now);
}

void Alarms::report_event(const std::string& name, const std::string& what, const std::string& remedy, Now now) {
  ++count_;
  spdlog::warn("{}", what);
  publish_({.alarm = name, .title = what, .body = remedy}, now);
}

void Alarms::record(const std::string& name, bool is_over, const std::string& cause, Now now) {
  Record record;
  record.mutable_raised()->set_alarm(name);
  record.mutable_raised()->set_over(is_over);
  record.mutable_raised()->set_at_ms(now.wall.count());
  record.mutable_raised()->set_cause(cause);
  batch_.append(record.SerializeAsString());
}

}  // namespace detent
