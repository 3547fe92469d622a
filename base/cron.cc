#include "base/cron.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/units.h"

namespace detent {

namespace {

using Instant = cctz::time_point<cctz::seconds>;

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr uint64_t kEveryHour = (1u << 24) - 1;

struct Field {
  std::string_view name;
  int low, high;
  std::span<const std::string_view> names;  // the first is `low`
};
constexpr Field kFields[] = {{"minute", 0, 59, {}},
                             {"hour", 0, 23, {}},
                             {"day of the month", 1, 31, {}},
                             {"month", 1, 12, kMonths},
                             {"day of the week", 0, 7, kWeekdays}};

struct Shorthand {
  std::string_view name, meaning;
};
constexpr Shorthand kShorthands[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                                     {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                                     {"@annually", "0 0 1 1 *"}};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view blank = " \t";
  std::vector<std::string_view> words;
  for (size_t at = text.find_first_not_of(blank); at != text.npos; at = text.find_first_not_of(blank, at)) {
    const size_t end = std::min(text.find_first_of(blank, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

Result<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (wrong == std::errc::result_out_of_range) return std::numeric_limits<int>::max();
  if (wrong != std::errc{} || end != text.data() + text.size() || text.front() == '-')
    return Error{text.empty() ? "a number is missing" : fmt::format("\"{}\" is not a number", text)};
  return value;
}

/// A number or a name. `ends_range`: Sunday is then the week's last day.
Result<int> value_of(const Field& field, std::string_view text, bool ends_range) {
  if (!field.names.empty() && !text.empty() && (text.front() < '0' || text.front() > '9')) {
    const std::string name = lower(text);
    const auto at = std::find(field.names.begin(), field.names.end(), name);
    if (at != field.names.end()) {
      const int value = field.low + static_cast<int>(at - field.names.begin());
      return ends_range && value == 0 ? 7 : value;
    }
    const auto meant = nearest_name(name, field.names);
    return Error{fmt::format("\"{}\" is neither a number nor one of {}{}", text, fmt::join(field.names, ", "),
                             meant ? fmt::format(", did you mean \"{}\"?", *meant) : "")};
  }
  const Result<int> value = whole_number(text);
  if (!value) return value.error();
  if (*value < field.low || *value > field.high)
    return Error{fmt::format("{} is not within {}-{}", text, field.low, field.high)};
  return *value;
}

/// `*`, `5`, `1-5`, `*/2`, `1-5/2`: the bits of one item of a list.
Result<uint64_t> item_bits(const Field& field, std::string_view item) {
  const size_t slash = item.find('/');
  const std::string_view range = item.substr(0, slash);
  const size_t dash = range.find('-');
  int from = field.low, to = field.high, step = 1;
  if (range.empty())
    return Error{item.empty() ? "a value is missing" : fmt::format("\"{}\" has no range before its /", item)};
  if (range != "*") {
    const Result<int> first = value_of(field, range.substr(0, dash), false);
    if (!first) return first.error();
    const Result<int> last = dash == range.npos ? first : value_of(field, range.substr(dash + 1), true);
    if (!last) return last.error();
    from = *first, to = *last;
    if (from > to) return Error{fmt::format("the range {} goes backwards", range)};
  } else if (field.high == 7) {
    to = 6;  // Sunday once
  }
  if (slash != item.npos) {
    if (range != "*" && dash == range.npos)
      return Error{fmt::format("a step needs a range: write {0}-{1}/{2} in place of {0}/{2}", range, field.high,
                               item.substr(slash + 1))};
    const Result<int> number = whole_number(item.substr(slash + 1));
    if (!number) return Error{fmt::format("the step of \"{}\": {}", item, number.error().what)};
    step = *number;
    if (step < 1 || step > std::max(1, to - from))
      return Error{fmt::format("the step of \"{}\" is not within 1-{}", item, std::max(1, to - from))};
  }
  uint64_t bits = 0;
  for (int value = from; value <= to; value += step) bits |= uint64_t{1} << (field.high == 7 && value == 7 ? 0 : value);
  return bits;
}

Result<uint64_t> field_bits(const Field& field, std::string_view text) {
  uint64_t bits = 0;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const Result<uint64_t> item = item_bits(field, text.substr(at, comma - at));
    if (!item) return item.error();
    bits |= *item;
    at = comma + 1;
  }
  return bits;
}

/// The lowest bit that is set, from `from` on.
std::optional<int> bit_from(uint64_t bits, int from) {
  const uint64_t rest = from < 64 ? bits >> from << from : 0;
  if (rest == 0) return std::nullopt;
  return std::countr_zero(rest);
}

/// 0 is Sunday.
int weekday_of(const cctz::civil_day& day) { return (static_cast<int>(cctz::get_weekday(day)) + 1) % 7; }

cctz::civil_day first_of_next_month(const cctz::civil_day& day) { return cctz::civil_day(cctz::civil_month(day) + 1); }

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  const auto wrong = [&](std::string_view what) { return Error{fmt::format("cron \"{}\": {}", text, what)}; };
  const auto unprintable = [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f; };
  if (text.size() > 1024 || std::any_of(text.begin(), text.end(), unprintable))
    return Error{"cron: an expression is one line of at most 1024 characters"};
  std::vector<std::string_view> words = words_of(text);
  if (words.size() == 1 && words[0].front() == '@') {
    const std::string name = lower(words[0]);
    const auto known = std::find_if(std::begin(kShorthands), std::end(kShorthands),
                                    [&](const Shorthand& s) { return s.name == name; });
    if (known == std::end(kShorthands))
      return wrong("only @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually are known");
    words = words_of(known->meaning);
  }
  if (words.size() != std::size(kFields))
    return wrong(fmt::format("{} field{} in place of five: minute, hour, day of the month, month, day of the week",
                             words.size(), words.size() == 1 ? "" : "s"));
  Cron cron;
  cron.text_ = text;
  uint64_t* const bits[] = {&cron.minutes_, &cron.hours_, &cron.days_, &cron.months_, &cron.weekdays_};
  for (size_t i = 0; i < words.size(); ++i) {
    const Result<uint64_t> field = field_bits(kFields[i], words[i]);
    if (!field) return wrong(fmt::format("{}: {}", kFields[i].name, field.error().what));
    *bits[i] = *field;
  }
  cron.both_days_ = words[2].front() == '*' || words[4].front() == '*';
  // Of the days that some month has, each comes on every day of the week at some time; 29 February too.
  constexpr std::array<int, 13> lengths{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool fires = !cron.both_days_;
  for (int month = 1; month <= 12; ++month) {
    const std::optional<int> day = bit_from(cron.days_, 1);
    fires = fires || ((cron.months_ >> month & 1) && *day <= lengths[month]);
  }
  if (!fires) return wrong("day of the month: no month that it names has that day, so it would never fire");
  return cron;
}

bool Cron::fires_on(const cctz::civil_day& day, int weekday) const {
  const bool of_month = days_ >> day.day() & 1, of_week = weekdays_ >> weekday & 1;
  return (months_ >> day.month() & 1) && (both_days_ ? of_month && of_week : of_month || of_week);
}

bool Cron::names(const cctz::civil_minute& time) const {
  const cctz::civil_day day(time);
  return (minutes_ >> time.minute() & 1) && (hours_ >> time.hour() & 1) && fires_on(day, weekday_of(day));
}

/// The first day that fires, from `day` on.
cctz::civil_day Cron::day_from(cctz::civil_day day) const {
  int weekday = weekday_of(day);
  const cctz::civil_day end = day + 2 * 146'097;  // days in 400 years, after which the calendar repeats itself
  while (!fires_on(day, weekday)) {
    CHECK(day < end, "parse takes only expressions that fire");
    const cctz::civil_day former = day;
    day = months_ >> day.month() & 1 ? day + 1 : first_of_next_month(day);
    weekday = static_cast<int>((weekday + (day - former)) % 7);
  }
  return day;
}

/// The first time on the wall that the expression names, from `from` on.
cctz::civil_minute Cron::time_from(const cctz::civil_minute& from) const {
  const cctz::civil_day today(from);
  if (fires_on(today, weekday_of(today))) {
    for (auto hour = bit_from(hours_, from.hour()); hour; hour = bit_from(hours_, *hour + 1)) {
      const auto minute = bit_from(minutes_, *hour == from.hour() ? from.minute() : 0);
      if (minute) return cctz::civil_minute(today) + *hour * 60 + *minute;
    }
  }
  return cctz::civil_minute(day_from(today + 1)) + std::countr_zero(hours_) * 60 + std::countr_zero(minutes_);
}

Millis Cron::next(Millis after, const TimeZone& zone) const {
  const Instant from = to_second(after);
  if (hours_ == kEveryHour) return from_second(next_by_hours(from, zone.rules()));
  // Times on the wall in their order fire in that order, so what comes before the one that `from` shows is over.
  cctz::civil_minute time(zone.rules().lookup(from).cs);
  for (;; ++time) {
    time = time_from(time);
    const auto found = zone.rules().lookup(cctz::civil_second(time));
    const Instant fires = found.kind == cctz::time_zone::civil_lookup::SKIPPED ? found.trans : found.pre;
    if (fires > from) return from_second(fires);
  }
}

/// The first instant after `after` at which the clocks show a whole minute that the expression names.
Instant Cron::next_by_hours(Instant after, const cctz::time_zone& zone) const {
  for (Instant at = after + cctz::seconds(1);;) {
    const cctz::civil_second shown = zone.lookup(at).cs;
    cctz::civil_minute whole(shown);
    if (shown.second() != 0) ++whole;
    const Instant fires = at + cctz::seconds(cctz::civil_second(time_from(whole)) - shown);
    cctz::time_zone::civil_transition change;
    if (!zone.next_transition(at, &change)) return fires;
    const Instant changed = zone.lookup(change.to).trans;
    if (changed > fires) return fires;
    at = changed;
  }
}

}  // namespace detent
