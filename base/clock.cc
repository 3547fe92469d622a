#include "base/clock.h"

#include <ctime>

#include <spdlog/fmt/fmt.h>

namespace detent {

Now system_now() {
  return {std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now().time_since_epoch()),
          std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch())};
}

namespace {
std::tm calendar(Millis wall) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(wall).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return parts;
}
}  // namespace

std::string utc(Millis wall) {
  const std::tm t = calendar(wall);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                     t.tm_min, t.tm_sec);
}

std::string utc_millis(Millis wall) {
  std::string text = utc(wall);
  const auto part = (wall - std::chrono::floor<std::chrono::seconds>(wall)).count();
  text.pop_back();
  return text + fmt::format(".{:03}Z", part);
}

std::string roughly(Millis span) {
  const auto seconds = span.count() / 1000;
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86400);
}

}  // namespace detent
