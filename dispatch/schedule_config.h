// What detent.toml says of tasks that recur: [[schedule]].
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dispatch/schedule.h"

namespace detent {

class Section;

/// One [[schedule]]: when, and the task that it submits.
struct ScheduleEntry {
  Schedule schedule;
  bool enabled = true;
  std::string runner;
  std::string prompt;
  std::string title;  // empty: the schedule's name
  int64_t priority = 0;
  Millis timeout{0};  // 0: the runner's own
  uint32_t retries = 0;
  std::map<std::string, std::string> labels, needs;
  std::string at;  // "detent.toml:12:1", for messages
  bool operator==(const ScheduleEntry& other) const {
    return schedule == other.schedule && enabled == other.enabled && runner == other.runner && prompt == other.prompt &&
           title == other.title && priority == other.priority && timeout == other.timeout && retries == other.retries &&
           labels == other.labels && needs == other.needs;
  }
};

struct ScheduleConfig {
  std::vector<ScheduleEntry> schedules;  // as they stand in the file; each name once

  /// Those that are enabled, as `Schedules` takes them.
  std::vector<Schedule> enabled() const {
    std::vector<Schedule> out;
    for (const ScheduleEntry& entry : schedules) {
      if (entry.enabled) out.push_back(entry.schedule);
    }
    return out;
  }

  void read(Section& file);
  bool operator==(const ScheduleConfig&) const = default;
};

}  // namespace detent
