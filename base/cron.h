// Times that recur, as crontab(5) writes them: "0 7 * * mon-fri". Read once, then a value for any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_zone.h"

namespace detent {

/// A cron expression: minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, @monthly,
/// @yearly.
///
/// A field is `*`, a number, a range `a-b`, either of the ranges with a step `/n`, or a list of these with commas.
/// Months and days of the week may be named (jan, sun; any case); 0 and 7 are both Sunday. As in Vixie's cron, where
/// neither the day of the month nor that of the week begins with `*`, a day fires if it fits one of them; else it has
/// to fit both.
///
/// Where clocks are changed: a time of day that is skipped fires once, at the first moment after; one that comes twice
/// fires the first time. An expression that fires in every hour (`*` as the hours) goes by the hours as they pass: it
/// makes up for none that was skipped, and fires in both of those that have the same name.
class Cron {
 public:
  /// Every minute.
  Cron() = default;

  /// The error names the field and what is wrong with it: `cron "61 * * * *": minute: 61 is not within 0-59`. An
  /// expression that would never fire ("0 0 30 2 *") is one.
  static Result<Cron> parse(std::string_view text);

  /// As it was written.
  const std::string& text() const { return text_; }

  /// The first time after `after` (both wall times) at which it fires in `zone`, on a whole minute of that zone unless
  /// the time was skipped. Right until the year 2400, to which rules of zones are carried on.
  Millis next(Millis after, const TimeZone& zone) const;

  /// Whether the clocks on the wall show a time that the expression names.
  bool names(const cctz::civil_minute& time) const;

  bool operator==(const Cron&) const = default;

 private:
  bool fires_on(const cctz::civil_day& day, int weekday) const;
  cctz::civil_day day_from(cctz::civil_day day) const;
  cctz::civil_minute time_from(const cctz::civil_minute& from) const;
  cctz::time_point<cctz::seconds> next_by_hours(cctz::time_point<cctz::seconds> after,
                                                const cctz::time_zone& zone) const;

  std::string text_ = "* * * * *";
  // A bit for each number that fires.
  uint64_t minutes_ = (1ull << 60) - 1, hours_ = (1u << 24) - 1, days_ = 0xfffffffe, months_ = 0x1ffe, weekdays_ = 0x7f;
  bool both_days_ = true;  // a day has to fit days_ and weekdays_; else one of them
};

}  // namespace detent
