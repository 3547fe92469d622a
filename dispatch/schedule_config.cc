#include "dispatch/schedule_config.h"

#include <algorithm>
#include <string_view>

#include "config/section.h"

namespace detent {

namespace {

constexpr int64_t kPriority = 100;

bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed);
}

/// What `accept` makes of the string; its own error is the problem.
template <class T, class Accept>
void understood(Section& s, std::string_view key, T& out, Accept accept) {
  s.read(key, [&](const toml::node& node) {
    if (!node.as_string()) return s.expect(node, key, "a string");
    Result<T> value = accept(node.as_string()->get());
    if (value) {
      out = std::move(*value);
    } else {
      s.reading().wrong(node.source(), value.error().what);
    }
  });
}

std::optional<MissedPolicy> missed_policy(const std::string& text) {
  if (text == "skip") return MissedPolicy{MissedPolicy::kSkip, {}};
  if (text == "once") return MissedPolicy{MissedPolicy::kOnce, {}};
  const auto window = parse_duration(text);
  if (!window || *window <= Millis{0}) return std::nullopt;
  return MissedPolicy{MissedPolicy::kWithin, *window};
}

void read_labels(Section& s, std::string_view key, std::map<std::string, std::string>& out) {
  s.table(key, [&](const toml::table& labels) {
    for (const auto& [key, node] : labels) {
      if (const auto* value = node.as_string()) {
        out.emplace(key.str(), value->get());
      } else {
        s.expect(node, key.str(), "a string");
      }
    }
  });
}

void read_schedule(Section& s, ScheduleEntry& out) {
  Schedule& schedule = out.schedule;
  const auto name = [](const std::string& text) { return is_name(text) ? std::optional(text) : std::nullopt; };
  s.parsed("name", schedule.name, name, "1 to 64 letters, digits, \"-\", \"_\" or \".\"");
  understood(s, "cron", schedule.cron, [](const std::string& text) { return Cron::parse(text); });
  understood(s, "zone", schedule.zone, [](const std::string& text) { return TimeZone::find(text); });
  s.duration("jitter", schedule.jitter);
  s.parsed("missed", schedule.missed, missed_policy, "\"skip\", \"once\", or a duration such as \"2h\"");
  s.flag("enabled", out.enabled);
  s.text("runner", out.runner);
  s.text("prompt", out.prompt);
  s.text("title", out.title);
  s.number("priority", out.priority, -kPriority, kPriority);
  s.duration("timeout", out.timeout);
  s.number("retries", out.retries, 0, 100);
  read_labels(s, "labels", out.labels);
  read_labels(s, "needs", out.needs);
}

}  // namespace

void ScheduleConfig::read(Section& file) {
  file.read("schedule", [&](const toml::node& node) {
    const auto* all = node.as_array();
    if (!all) return file.expect(node, "schedule", "written as [[schedule]]");
    std::map<std::string, std::string> places;  // by name
    for (const toml::node& item : *all) {
      const auto* table = item.as_table();
      if (!table) {
        file.expect(item, "schedule", "written as [[schedule]]");
        continue;
      }
      ScheduleEntry& entry = schedules.emplace_back();
      entry.at = file.reading().place(item.source());
      Section s(file.reading(), *table, "schedule");
      read_schedule(s, entry);
      for (const char* needed : {"name", "cron", "runner", "prompt"}) {
        if (!table->contains(needed))
          file.reading().wrong(item.source(),
                               fmt::format("this [[schedule]] has no {}: add {} = \"…\"", needed, needed));
      }
      if (entry.schedule.name.empty()) continue;
      const auto [other, unique] = places.emplace(entry.schedule.name, entry.at);
      if (!unique) {
        file.reading().wrong(table->get("name")->source(),
                             fmt::format("a schedule \"{}\" is there already, at {}", other->first, other->second));
      }
    }
  });
}

}  // namespace detent
