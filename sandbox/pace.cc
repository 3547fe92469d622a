#include "sandbox/pace.h"

#include <charconv>
#include <cmath>

#include "sandbox/json.h"

namespace detent::sandbox {

namespace {
constexpr std::size_t kManyWindows = 10'000;
}

Result<Pace> parse_pace(std::string_view text) {
  if (text == "off") return Pace{};
  const std::size_t slash = text.find('/');
  const Error wrong{"a limit is requests/seconds, as 5/5, or off; not " + std::string(text)};
  if (slash == text.npos) return wrong;
  const auto requests = parse_whole(text.substr(0, slash));
  const std::string_view rest = text.substr(slash + 1);
  double seconds = 0;
  const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), seconds);
  if (!requests || *requests < 1 || failed != std::errc{} || end != rest.data() + rest.size() ||
      !(seconds >= 0.001 && seconds <= 86'400)) {
    return wrong;
  }
  return Pace{*requests, Millis(std::llround(seconds * 1000))};
}

Standing Paces::take(const std::string& key, Now now) {
  if (pace_.requests == 0) return {.allowed = true, .limit = 0, .remaining = 0, .reset_after = Millis(0)};
  if (windows_.size() > kManyWindows) {
    std::erase_if(windows_, [&](const auto& entry) { return entry.second.ends <= now.mono; });
  }
  Window& window = windows_[key];
  if (window.ends <= now.mono) window = {now.mono + pace_.window, 0};
  const bool allowed = window.used < pace_.requests;
  if (allowed) ++window.used;
  return {allowed, pace_.requests, pace_.requests - window.used, window.ends - now.mono};
}

}  // namespace detent::sandbox
