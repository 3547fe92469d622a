// Cron beside an oracle that knows nothing of it: it walks through each minute, asks the C library what the clocks
// show, and looks whether that was asked for.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <bitset>
#include <ctime>
#include <optional>
#include <random>
#include <set>

#include "base/cron.h"

namespace detent {

namespace {

constexpr int64_t kMinute = 60, kDay = 86'400;

/// What an expression asks for, made at random together with its text.
struct Wanted {
  std::string text;
  std::bitset<64> fields[5];
  bool both_days = false;

  bool fits(const std::tm& shown) const {
    const bool month_day = fields[2][shown.tm_mday], week_day = fields[4][shown.tm_wday];
    return fields[0][shown.tm_min] && fields[1][shown.tm_hour] && fields[3][shown.tm_mon + 1] &&
           (both_days ? month_day && week_day : month_day || week_day);
  }
  bool every_hour() const { return fields[1].count() == 24; }
};

using Dice = std::mt19937;
int roll(Dice& dice, int low, int high) { return std::uniform_int_distribution(low, high)(dice); }

std::string random_field(Dice& dice, int low, int high, int stars, std::bitset<64>& bits) {
  if (roll(dice, 1, 100) <= stars) {
    const int step = roll(dice, 0, 3) == 0 ? roll(dice, 1, std::min(high - low, 6)) : 1;
    for (int value = low; value <= high; value += step) bits.set(value);
    return step == 1 ? "*" : fmt::format("*/{}", step);
  }
  std::string text;
  for (int items = roll(dice, 1, 3); items > 0; --items) {
    // Often what clocks are changed at: whole hours and halves.
    const int from = high == 59 && roll(dice, 0, 1) ? 30 * roll(dice, 0, 1) : roll(dice, low, high),
              to = roll(dice, 0, 1) ? from : roll(dice, from, high);
    const int step = to - from >= 2 ? roll(dice, 1, 2) : 1;
    for (int value = from; value <= to; value += step) bits.set(value);
    text += fmt::format("{}{}", text.empty() ? "" : ",", from);
    if (to != from) text += fmt::format("-{}", to);
    if (step != 1) text += fmt::format("/{}", step);
  }
  return text;
}

Wanted random_wanted(Dice& dice) {
  Wanted w;
  const std::string fields[] = {random_field(dice, 0, 59, 20, w.fields[0]), random_field(dice, 0, 23, 30, w.fields[1]),
                                random_field(dice, 1, 31, 60, w.fields[2]), random_field(dice, 1, 12, 80, w.fields[3]),
                                random_field(dice, 0, 6, 60, w.fields[4])};
  w.both_days = fields[2].front() == '*' || fields[4].front() == '*';
  w.text = fmt::format("{}", fmt::join(fields, " "));
  return w;
}

/// The C library's clocks of a place, for this thread alone.
struct Clocks {
  explicit Clocks(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }
  ~Clocks() {
    unsetenv("TZ");
    tzset();
  }
  std::tm at(int64_t second) const {
    const std::time_t time = second;
    std::tm shown{};
    localtime_r(&time, &shown);
    return shown;
  }
  /// What the clocks show, in seconds as if they were those of UTC.
  int64_t shown_at(int64_t second) const { return second + at(second).tm_gmtoff; }
};

std::tm as_shown(int64_t shown) {
  const std::time_t time = shown;
  std::tm parts{};
  gmtime_r(&time, &parts);
  return parts;
}

/// Every second at which it fires after `from` and until `to`, both whole minutes.
std::set<int64_t> fired(const Wanted& wanted, const Clocks& clocks, int64_t from, int64_t to) {
  std::set<int64_t> out;
  // What the clocks had shown at the most; begun early, since what they show twice may lie before `from`.
  int64_t most = clocks.shown_at(from - 2 * kDay);
  for (int64_t second = from - 2 * kDay + kMinute; second <= to; second += kMinute) {
    const int64_t shown = clocks.shown_at(second);
    bool fires = wanted.fits(as_shown(shown)) && (wanted.every_hour() || shown > most);
    if (!wanted.every_hour()) {
      for (int64_t skipped = most + kMinute; skipped < shown && !fires; skipped += kMinute)
        fires = wanted.fits(as_shown(skipped));
    }
    most = std::max(most, shown);
    if (fires && second > from) out.insert(second);
  }
  return out;
}

void compare(const char* zone_name, int64_t from, int64_t to, int expressions, unsigned seed) {
  const Clocks clocks(zone_name);
  const TimeZone zone = *TimeZone::find(zone_name);
  Dice dice(seed);
  for (int i = 0; i < expressions; ++i) {
    const Wanted wanted = random_wanted(dice);
    const Result<Cron> cron = Cron::parse(wanted.text);
    if (!cron) {  // such as 31 February: then it is true that it never fires
      ASSERT_NE(cron.error().what.find("never fire"), std::string::npos) << cron.error().what;
      ASSERT_TRUE(fired(wanted, clocks, from, to).empty()) << wanted.text;
      continue;
    }
    std::set<int64_t> found;
    for (Millis at = std::chrono::seconds{from}; (at = cron->next(at, zone)) <= std::chrono::seconds{to};)
      found.insert(std::chrono::floor<std::chrono::seconds>(at).count());
    ASSERT_EQ(found, fired(wanted, clocks, from, to)) << wanted.text << " in " << zone_name << ", seed " << seed;
  }
}

int64_t utc_day(int year, int month, int day) {
  std::tm parts{};
  parts.tm_year = year - 1900, parts.tm_mon = month - 1, parts.tm_mday = day;
  return timegm(&parts);
}

}  // namespace

TEST(CronOracle, FiresAsAWalkThroughEachMinuteSays) {
  struct Span {
    const char* zone;
    int year, month, day;  // where something happens: five days from there
  };
  const Span spans[] = {
      {"Europe/Berlin", 2026, 3, 27},
      {"Europe/Berlin", 2026, 10, 23},
      {"America/New_York", 2026, 3, 6},
      {"America/New_York", 2026, 10, 30},
      {"Australia/Lord_Howe", 2026, 4, 2},
      {"Australia/Lord_Howe", 2026, 10, 1},
      {"Pacific/Apia", 2011, 12, 28},
      {"America/St_Johns", 2026, 3, 6},
      {"Africa/Casablanca", 2026, 2, 13},
      {"Asia/Kathmandu", 2027, 12, 29},
      {"UTC", 2028, 2, 27},
      {"America/Sao_Paulo", 2018, 11, 2},
      {"Antarctica/Troll", 2026, 3, 27},
      {"Asia/Beirut", 2026, 3, 26},
      {"Europe/London", 1972, 3, 16},
      {"America/Havana", 2026, 10, 30},
      {"Pacific/Chatham", 2026, 4, 2},
      {"Europe/Berlin", 2060, 10, 29},
  };
  unsigned seed = 1;
  for (const Span& span : spans) {
    const int64_t from = utc_day(span.year, span.month, span.day);
    compare(span.zone, from, from + 5 * kDay, 40, seed++);
  }
}

TEST(CronOracle, FiresAsAWalkThroughWholeYearsSays) {
  for (const char* zone : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"})
    compare(zone, utc_day(2027, 6, 1), utc_day(2028, 6, 1), 3, 4711);
}

}  // namespace detent
