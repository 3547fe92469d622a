#include "ledger/tasks/queue_values.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <chrono>
#include <utility>

namespace detent {
namespace {

/// Takes exactly `digits` digits off the front.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int number = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::minutes> take_clock(std::string_view& text) {
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  return std::chrono::hours{*hour} + std::chrono::minutes{*minute};
}

}  // namespace

std::optional<Millis> parse_moment(std::string_view text) {
  using namespace std::chrono;
  const auto y = take_number(text, 4);
  if (!y || !take(text, '-')) return std::nullopt;
  const auto m = take_number(text, 2);
  if (!m || !take(text, '-')) return std::nullopt;
  const auto d = take_number(text, 2);
  if (!d) return std::nullopt;
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*m)}, day{static_cast<unsigned>(*d)}};
  if (!date.ok()) return std::nullopt;
  Millis moment = sys_days{date}.time_since_epoch();
  if (text.empty()) return moment;
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const auto clock = take_clock(text);
  if (!clock) return std::nullopt;
  moment += *clock;
  if (take(text, ':')) {
    const auto second = take_number(text, 2);
    if (!second || *second > 60) return std::nullopt;
    moment += seconds{*second};
    if (take(text, '.')) {
      int scale = 100;
      if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
      for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; scale /= 10) {
        moment += Millis{(text.front() - '0') * scale};
        text.remove_prefix(1);
      }
    }
  }
  take(text, ' ');
  if (text.empty() || text == "Z" || text == "z" || text == "UTC") return moment;
  const bool east = text.front() == '+';
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const auto offset = take_clock(text);
  if (!offset || !text.empty()) return std::nullopt;
  return east ? moment - *offset : moment + *offset;
}

std::string duration_text(Millis span) {
  constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}};
  for (const auto& unit : units) {
    if (span.count() && span.count() % unit.second == 0)
      return fmt::format("{}{}", span.count() / unit.second, unit.first);
  }
  return fmt::format("{}ms", span.count());
}

std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view between = ", \t\r\v\f";
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(between);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find_first_of(between));
    words.push_back(word);
    text.remove_prefix(word.size());
  }
}

}  // namespace detent
