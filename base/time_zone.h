// Time zones by their IANA names, from the system's tz database ($TZDIR, else /usr/share/zoneinfo), and what the clocks
// on the wall show there.
#pragma once

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

/// One time zone; UTC by default. A value as small as a pointer and its name, for any thread. What was read of the
/// database stays in memory until the process ends, so an update of it counts from the next start.
class TimeZone {
 public:
  TimeZone() = default;

  /// "Europe/Berlin", "UTC"; "local" is the machine's own ($TZ, else /etc/localtime). The error names the nearest name.
  static Result<TimeZone> find(std::string_view name);

  const std::string& name() const { return name_; }
  const cctz::time_zone& rules() const { return rules_; }
  /// "2026-11-22 15:02 CET" of a wall time, for people.
  std::string show(Millis wall) const;

  bool operator==(const TimeZone& other) const { return rules_ == other.rules_ && name_ == other.name_; }

 private:
  TimeZone(std::string name, const cctz::time_zone& rules) : name_(std::move(name)), rules_(rules) {}

  std::string name_ = "UTC";
  cctz::time_zone rules_ = cctz::utc_time_zone();
};

/// The wall time's second, rounded down, as cctz has it; and back, the largest time for what no Millis can hold.
cctz::time_point<cctz::seconds> to_second(Millis wall);
Millis from_second(cctz::time_point<cctz::seconds> second);

}  // namespace detent
