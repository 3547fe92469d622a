#include "cli/provision/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/units.h"
#include "cli/text.h"

namespace detent::provision {

namespace json = boost::json;

namespace {

constexpr Millis kFresh = std::chrono::minutes(15);
constexpr std::uint64_t kLittleDisk = 1ull << 30;

using Report = std::map<std::string, std::vector<std::string>>;

std::string value(const Report& report, const std::string& key) {
  const auto found = report.find(key);
  return found == report.end() ? "" : found->second.front();
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && failed == std::errc{} && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

/// "2026-11-28T20:00:00Z" at the beginning of `text`, fractions of seconds passed over.
std::optional<Millis> utc_time(std::string_view text) {
  const auto digits = [&](std::size_t at, std::size_t size) -> int {
    const auto parsed = text.size() >= at + size ? number(text.substr(at, size)) : std::nullopt;
    return parsed ? static_cast<int>(*parsed) : -1;
  };
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  const int year = digits(0, 4), month = digits(5, 2), day = digits(8, 2), hour = digits(11, 2), minute = digits(14, 2),
            second = digits(17, 2);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  const std::size_t end = text.find_first_not_of("0123456789.", 19);
  if (year < 1970 || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 ||
      end == text.npos || text[end] != 'Z')
    return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

Check of_droplet(const Sight& sight) {
  if (!sight.droplet)
    return {"droplet", "not looked up: no token ([digitalocean] token_file, or DO_API_TOKEN)", Verdict::kUnknown};
  if (!*sight.droplet) return {"droplet", sight.droplet->error().what, Verdict::kBad};
  const Droplet& droplet = **sight.droplet;
  return {"droplet",
          fmt::format("{} {}, {}, {}, {}, ${:.2f}/month", droplet.status, droplet.id,
                      droplet.address.empty() ? "no address" : droplet.address, droplet.size, droplet.region,
                      droplet.price_monthly),
          droplet.status == "active" ? Verdict::kOk : Verdict::kBad};
}

void add_report(const Report& report, std::vector<Check>& checks) {
  const auto version = [&](const std::string& name) {
    const std::string found = value(report, name);
    checks.push_back({name, found.empty() ? "not installed" : found, found.empty() ? Verdict::kBad : Verdict::kOk});
  };
  const auto uptime = number(value(report, "uptime"));
  checks.push_back({"ssh", fmt::format("{}, {}, up {}", value(report, "host"), value(report, "os"),
                                       uptime ? roughly(std::chrono::seconds(*uptime)) : "unknown")});
  const bool set_up = value(report, "setup") == "complete";
  checks.push_back({"setup", set_up ? "complete" : "not complete: run `detent worker provision` again",
                    set_up ? Verdict::kOk : Verdict::kBad});
  for (const char* name : {"detent-worker", "node", "openclaw", "git", "python3"}) version(name);
  const std::string service = value(report, "service"), enabled = value(report, "enabled");
  checks.push_back({"service",
                    fmt::format("openclaw-worker is {}{}", service.empty() ? "unknown" : service,
                                enabled.empty() ? "" : ", " + enabled),
                    service == "active" ? Verdict::kOk : Verdict::kBad});
  if (const auto kib = number(value(report, "disk-available")))
    checks.push_back(
        {"disk", readable_size(*kib * 1024) + " free", *kib * 1024 < kLittleDisk ? Verdict::kBad : Verdict::kOk});
  if (const auto kib = number(value(report, "memory-available")))
    checks.push_back({"memory", readable_size(*kib * 1024) + " available"});
  const auto jobs = report.find("cron");
  checks.push_back({"crontab", jobs == report.end() ? "no jobs"
                                                    : fmt::format("{} job{}", jobs->second.size(),
                                                                  jobs->second.size() == 1 ? "" : "s")});
  if (jobs == report.end()) return;
  for (const std::string& job : jobs->second) checks.push_back({"", job});
}

}  // namespace

Report parse_report(std::string_view text) {
  Report out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const std::size_t equals = line.find('=');
    if (equals != line.npos) {
      std::string found = plain(line.substr(equals + 1));
      while (found.ends_with(' ')) found.pop_back();
      if (!found.empty()) out[std::string(line.substr(0, equals))].push_back(std::move(found));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

Result<Millis> heartbeat_in(std::string_view heartbeat_md, std::string_view worker) {
  std::optional<Millis> last;
  bool inside = false, there = false;
  while (!heartbeat_md.empty()) {
    const std::size_t end = std::min(heartbeat_md.find('\n'), heartbeat_md.size());
    std::string_view line = heartbeat_md.substr(0, end);
    heartbeat_md.remove_prefix(std::min(end + 1, heartbeat_md.size()));
    while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
    if (line.starts_with("## ")) {
      const std::string_view title = line.substr(3);
      inside = title == worker || (title.starts_with(worker) && title.substr(worker.size()).starts_with(" "));
      there |= inside;
    }
    if (!inside) continue;
    for (std::size_t at = line.find("20"); at != line.npos; at = line.find("20", at + 1)) {
      if (const auto time = utc_time(line.substr(at)); time && (!last || *time > *last)) last = time;
    }
  }
  if (last) return *last;
  return Error{there ? fmt::format("worker/HEARTBEAT.md has no time in the section of {}", worker)
                     : fmt::format("worker/HEARTBEAT.md has no section of {}", worker)};
}

std::vector<Check> judge(const Sight& sight, Millis wall) {
  std::vector<Check> checks{of_droplet(sight)};
  if (!sight.report) {
    checks.push_back({"ssh", "not tried: there is no address", Verdict::kBad});
  } else if (!*sight.report) {
    checks.push_back({"ssh", sight.report->error().what, Verdict::kBad});
  } else {
    add_report(**sight.report, checks);
  }
  if (!sight.heartbeat) {
    checks.push_back({"heartbeat", "unknown: no branch detent/tasks here", Verdict::kUnknown});
  } else if (!*sight.heartbeat) {
    checks.push_back({"heartbeat", sight.heartbeat->error().what, Verdict::kBad});
  } else {
    const Millis age = std::max(Millis(0), wall - **sight.heartbeat);
    checks.push_back({"heartbeat", roughly(age) + " ago", age <= kFresh ? Verdict::kOk : Verdict::kBad});
  }
  if (!sight.queued) {
    checks.push_back({"queue", "unknown: the dispatcher was not asked", Verdict::kUnknown});
  } else if (!*sight.queued) {
    checks.push_back({"queue", sight.queued->error().what, Verdict::kUnknown});
  } else {
    checks.push_back({"queue", fmt::format("{} queued", **sight.queued)});
  }
  return checks;
}

bool is_healthy(const std::vector<Check>& checks) {
  return std::none_of(checks.begin(), checks.end(), [](const Check& check) { return check.verdict == Verdict::kBad; });
}

json::object health_json(std::string_view worker, const std::vector<Check>& checks) {
  json::array all;
  json::array jobs;
  for (const Check& check : checks) {
    if (check.name.empty()) {
      jobs.push_back(json::string(check.detail));
      continue;
    }
    const json::value ok =
        check.verdict == Verdict::kUnknown ? json::value() : json::value(check.verdict == Verdict::kOk);
    all.push_back({{"name", check.name}, {"ok", ok}, {"detail", check.detail}});
  }
  return {
      {"worker", worker}, {"healthy", is_healthy(checks)}, {"checks", std::move(all)}, {"crontab", std::move(jobs)}};
}

}  // namespace detent::provision
