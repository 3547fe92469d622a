// Any text in place of a cron expression is refused in one line, or fires: strictly later, and at a time that it names.
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/cron.h"

using namespace detent;

namespace {

constexpr std::string_view kZones[] = {"UTC",          "Europe/Berlin",    "America/New_York",  "Australia/Lord_Howe",
                                       "Pacific/Apia", "America/St_Johns", "Africa/Casablanca", "Antarctica/Troll"};
// Whole minutes everywhere from 1972 on; the rules of zones are known until 2400.
constexpr int64_t kFrom = 63'072'000'000, kTo = 12'000'000'000'000;

/// What the clocks show is named; or they were just put forward, over a time that is.
void check_named(const Cron& cron, Millis at, const TimeZone& zone) {
  const cctz::civil_minute shown(zone.rules().lookup(to_second(at)).cs);
  if (cron.names(shown)) return;
  cctz::civil_minute skipped(zone.rules().lookup(to_second(at) - cctz::seconds(60)).cs);
  while (++skipped < shown) {
    if (cron.names(skipped)) return;
  }
  CHECK(false, "it fired at a time that it does not name");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  uint32_t part;
  std::memcpy(&part, data, sizeof part);
  static const std::vector<TimeZone> zones = [] {
    std::vector<TimeZone> all;
    for (const std::string_view name : kZones) all.push_back(TimeZone::find(name).value());
    return all;
  }();
  const TimeZone& zone = zones[data[4] % zones.size()];
  const auto cron = Cron::parse({reinterpret_cast<const char*>(data) + 5, size - 5});
  if (!cron) {
    CHECK(cron.error().what.starts_with("cron") && cron.error().what.find('\n') == std::string::npos,
          "a refusal is one line");
    return 0;
  }
  Millis at{kFrom + static_cast<int64_t>(part) * ((kTo - kFrom) >> 32)};
  for (int i = 0; i < 20; ++i) {
    const Millis next = cron->next(at, zone);
    CHECK(next > at, "the next time is strictly later");
    CHECK(cron->next(next - Millis{1}, zone) == next, "it is the next also for who asks just before");
    check_named(*cron, next, zone);
    at = next;
  }
  return 0;
}
