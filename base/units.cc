#include "base/units.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace detent {

namespace {

struct Unit {
  std::string_view name;
  uint64_t size;
};
constexpr Unit kTimes[] = {{"ms", 1},       {"s", 1000},       {"m", 60'000},
                           {"h", 3600'000}, {"d", 86'400'000}, {"w", 604'800'000}};
constexpr Unit kSizes[] = {{"", 1},
                           {"B", 1},
                           {"KiB", 1ull << 10},
                           {"MiB", 1ull << 20},
                           {"GiB", 1ull << 30},
                           {"TiB", 1ull << 40},
                           {"KB", 1'000},
                           {"MB", 1'000'000},
                           {"GB", 1'000'000'000}};

std::optional<uint64_t> quantity(std::string_view text, std::span<const Unit> units) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(end - text.data());
  if (text.starts_with(' ')) text.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name != text) continue;
    if (count > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / unit.size) return std::nullopt;
    return count * unit.size;
  }
  return std::nullopt;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({changed, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace

std::optional<Millis> parse_duration(std::string_view text) {
  const auto millis = quantity(text, kTimes);
  if (!millis) return std::nullopt;
  return Millis{static_cast<int64_t>(*millis)};
}

std::optional<uint64_t> parse_size(std::string_view text) { return quantity(text, kSizes); }

std::string readable_size(uint64_t bytes) {
  constexpr std::string_view names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(names); ++unit) bytes /= 1024;
  return fmt::format("{} {}", bytes, names[unit]);
}

std::optional<int> parse_severity(std::string_view name) {
  const auto at = std::find(kSeverities.begin(), kSeverities.end(), name);
  if (at == kSeverities.end()) return std::nullopt;
  return static_cast<int>(at - kSeverities.begin());
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool is_host_and_port(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  const std::string_view port = text.substr(colon + 1);
  if (port == "*") return true;
  uint16_t number = 0;
  const auto [end, wrong] = std::from_chars(port.begin(), port.end(), number);
  return wrong == std::errc{} && end == port.end();
}

std::optional<std::string_view> nearest_name(std::string_view wrong, std::span<const std::string_view> names) {
  std::optional<std::string_view> nearest;
  size_t least = std::max<size_t>(2, wrong.size() / 3) + 1;
  for (const std::string_view name : names) {
    const size_t distance = edit_distance(wrong, name);
    if (distance < least && distance < std::max(wrong.size(), name.size())) {
      least = distance;
      nearest = name;
    }
  }
  return nearest;
}

}  // namespace detent
