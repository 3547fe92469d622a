// How a worker is: from what was seen of it to a verdict. Pure.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cli/provision/droplet.h"

namespace detent::provision {

/// What was seen. An Error where looking failed, nothing where it was not looked at.
struct Sight {
  std::optional<Result<Droplet>> droplet;
  std::optional<Result<std::map<std::string, std::vector<std::string>>>> report;  // what worker-report.sh said
  std::optional<Result<Millis>> heartbeat;                                        // wall: the last one
  std::optional<Result<std::uint64_t>> queued;                                    // tasks
};

enum class Verdict { kOk, kUnknown, kBad };

struct Check {
  std::string name, detail;
  Verdict verdict = Verdict::kOk;
};

/// Each line KEY=VALUE; a key may come again.
std::map<std::string, std::vector<std::string>> parse_report(std::string_view text);

/// When `worker` was last heard, by worker/HEARTBEAT.md: the latest time ("2026-11-28T20:00:00Z") in its section
/// ("## worker"). An error where it has none.
Result<Millis> heartbeat_in(std::string_view heartbeat_md, std::string_view worker);

/// A heartbeat is fresh for 15 minutes: three of its kind.
std::vector<Check> judge(const Sight& sight, Millis wall);
/// None is bad, and the machine itself was seen: what could not be looked at makes nobody healthy.
bool is_healthy(const std::vector<Check>& checks);
boost::json::object health_json(std::string_view worker, const std::vector<Check>& checks);

}  // namespace detent::provision
