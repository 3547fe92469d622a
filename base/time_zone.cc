#include "base/time_zone.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/units.h"

namespace detent {

namespace {

namespace fs = std::filesystem;

/// Nothing that leads out of the database's folder.
bool is_zone_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '+' || c == '/';
  };
  return !name.empty() && name.size() <= 64 && name.front() != '/' && std::all_of(name.begin(), name.end(), allowed);
}

std::vector<std::string> names_in_database() {
  const char* variable = std::getenv("TZDIR");
  const fs::path folder = variable && *variable ? variable : "/usr/share/zoneinfo";
  std::vector<std::string> names;
  std::error_code failed;  // then nothing more is suggested
  for (auto at = fs::recursive_directory_iterator(folder, failed); at != fs::recursive_directory_iterator();
       at.increment(failed)) {
    if (failed) break;
    const std::string name = at->path().lexically_relative(folder).string();
    if (name == "posix" || name == "right") at.disable_recursion_pending();
    if (name[0] >= 'A' && name[0] <= 'Z' && !at->is_directory(failed)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Error unknown_zone(std::string_view name) {
  std::string text = fmt::format("zone \"{}\" is not in the tz database", name);
  const std::vector<std::string> known = names_in_database();
  const std::vector<std::string_view> names(known.begin(), known.end());
  if (names.empty()) {
    text += ", of which nothing is installed here (package tzdata)";
  } else if (const auto meant = nearest_name(name, names)) {
    text += fmt::format(", did you mean \"{}\"?", *meant);
  } else {
    text += ": write a name such as \"Europe/Berlin\", \"UTC\", or \"local\" for the machine's own";
  }
  return {text};
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  cctz::time_zone rules;
  if (name != "local") {
    if (!is_zone_name(name) || !cctz::load_time_zone(std::string(name), &rules)) return unknown_zone(name);
    return TimeZone(std::string(name), rules);
  }
  std::string file = "/etc/localtime";
  if (const char* variable = std::getenv("TZ"); variable && *variable)
    file = *variable == ':' ? variable + 1 : variable;
  std::error_code failed;
  if (file == "/etc/localtime" && !fs::exists(file, failed)) return TimeZone("local", cctz::utc_time_zone());
  if (!cctz::load_time_zone(file, &rules))
    return Error{
        fmt::format("the machine's own zone cannot be read from \"{}\": write a name such as \"Europe/Berlin\"", file)};
  return TimeZone("local", rules);
}

std::string TimeZone::show(Millis wall) const { return cctz::format("%Y-%m-%d %H:%M %Z", to_second(wall), rules_); }

cctz::time_point<cctz::seconds> to_second(Millis wall) {
  return cctz::time_point<cctz::seconds>(std::chrono::floor<cctz::seconds>(wall));
}

Millis from_second(cctz::time_point<cctz::seconds> second) {
  const auto since = second.time_since_epoch();
  if (since >= std::chrono::floor<cctz::seconds>(Millis::max())) return Millis::max();
  return std::chrono::duration_cast<Millis>(since);
}

}  // namespace detent
