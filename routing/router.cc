#include "routing/router.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/units.h"

namespace detent {

namespace {

std::string in_words(const std::vector<std::string>& channels) {
  return channels.empty() ? "the ledger alone" : fmt::format("{}", fmt::join(channels, ", "));
}

/// Types beyond this many are decided anew each time: a producer that invents types must not fill the memory.
constexpr size_t kMaxKnownTypes = 1024;

struct BuiltIn {
  std::vector<std::string> types;
  std::string channel;
};

std::vector<BuiltIn> default_table() {
  return {
      {{"briefing.morning", "review.weekly"}, "discord.briefings"},
      {{"incident.detected", "incident.resolved", "service.outage", "service.restored", "threshold.crossed"},
       "discord.alerts"},
      {{"subagent.completed", "subagent.failed"}, "discord.sub-agent-results"},
      {{"heartbeat.ok", "health.check", "cron.output"}, "discord.system"},
      {{"memory.updated"}, "discord.memory-updates"},
      {{"chat.message"}, "discord.chat"},
  };
}

bool matches(const RouteMatch& match, const Asked& asked) {
  if (match.needs_response && *match.needs_response != asked.needs_response) return false;
  if (match.severity_exact ? asked.severity != match.severity : asked.severity < match.severity) return false;
  if (!match.types.empty() && std::none_of(match.types.begin(), match.types.end(),
                                           [&](const std::string& glob) { return glob_matches(glob, asked.type); })) {
    return false;
  }
  if (!match.source.empty() && !glob_matches(match.source, asked.source)) return false;
  return std::all_of(match.labels.begin(), match.labels.end(), [&](const LabelMatch& wanted) {
    return std::any_of(asked.labels.begin(), asked.labels.end(), [&](const auto& label) {
      return label.first == wanted.key && glob_matches(wanted.value, label.second);
    });
  });
}

std::string in_words(const RouteMatch& match) {
  std::vector<std::string> parts;
  if (!match.types.empty()) parts.push_back(fmt::format("type {}", fmt::join(match.types, " or ")));
  if (match.severity_exact || match.severity > 0) {
    parts.push_back(fmt::format("severity {}{}", match.severity_exact ? "" : ">=", kSeverities[match.severity]));
  }
  if (!match.source.empty()) parts.push_back("source " + match.source);
  for (const LabelMatch& label : match.labels) parts.push_back(fmt::format("label {}={}", label.key, label.value));
  if (match.needs_response) parts.push_back(*match.needs_response ? "needs a response" : "needs no response");
  return parts.empty() ? "anything" : fmt::format("{}", fmt::join(parts, ", "));
}

void add(std::vector<std::string>& channels, const std::vector<std::string>& more) {
  for (const std::string& channel : more) {
    if (std::find(channels.begin(), channels.end(), channel) == channels.end()) channels.push_back(channel);
  }
}

std::string unknown_channel(const Config& config, std::string_view at, std::string_view who,
                            const std::string& channel) {
  return fmt::format("{}: {} goes to \"{}\", which is not configured: {}", at, who, channel,
                     config.remedy_for(channel));
}

}  // namespace

Result<Router> Router::compile(const Config& config) {
  Router router;
  std::vector<std::string> problems;
  const RoutesConfig& routes = config.routes;

  for (const std::string& channel : routes.default_to) {
    if (config.has_channel(channel)) {
      router.default_to_.push_back(channel);
    } else if (!routes.default_at.empty()) {
      problems.push_back(unknown_channel(config, routes.default_at, "default_to", channel));
    } else {
      router.notes_.push_back(
          fmt::format("{} is not configured: signals that no route takes are kept in the ledger alone (set default_to, "
                      "or add the channel)",
                      channel));
    }
  }

  for (size_t i = 0; i < routes.routes.size(); ++i) {
    const RouteConfig& route = routes.routes[i];
    for (const std::string& channel : route.to) {
      if (!config.has_channel(channel)) {
        problems.push_back(unknown_channel(config, route.at, fmt::format("route {}", i + 1), channel));
      }
    }
    router.rules_.push_back({route.match, route.to, route.continues, fmt::format("route {} ({})", i + 1, route.at)});
    if (!route.match.source.empty() || !route.match.labels.empty()) router.by_head_alone_ = false;
  }
  if (!problems.empty()) return Error{fmt::format("{}", fmt::join(problems, "\n"))};
  if (!routes.routes.empty()) return router;

  const auto built_in = [&](RouteMatch match, const std::string& channel, bool continues) {
    Rule rule{std::move(match), {channel}, continues, "a built-in route"};
    if (!config.has_channel(channel)) {
      router.notes_.push_back(fmt::format("{} is not configured: the built-in route for {} goes to default_to ({})",
                                          channel, in_words(rule.match), in_words(router.default_to_)));
      rule.to = router.default_to_;
    }
    router.rules_.push_back(std::move(rule));
  };
  built_in({.needs_response = true}, "telegram", true);
  for (BuiltIn& row : default_table()) built_in({.types = std::move(row.types)}, row.channel, false);
  return router;
}

Route Router::search(const Asked& asked, std::vector<std::string>* why) const {
  Route route;
  bool ended = false;
  for (const Rule& rule : rules_) {
    if (!matches(rule.match, asked)) continue;
    add(route.channels, rule.to);
    if (why) {
      why->push_back(fmt::format("{} matches: {} -> {}{}", rule.name, in_words(rule.match), in_words(rule.to),
                                 rule.continues ? ", and the search continues" : ""));
    }
    if (!rule.continues) {
      ended = true;
      break;
    }
  }
  if (!ended) {
    route.fallback = true;
    add(route.channels, default_to_);
    if (why) {
      why->push_back(fmt::format("{} -> default_to: {}", why->empty() ? "no route matches" : "no route ends the search",
                                 in_words(default_to_)));
    }
  }
  if (asked.type == "task.requested") {
    add(route.channels, {"dispatch"});
    if (why) why->push_back("task.requested always also goes to dispatch");
  }
  return route;
}

const Route& Router::decide(const Asked& asked) {
  const Route* route = nullptr;
  const auto severity = static_cast<size_t>(std::clamp<int>(asked.severity, 0, kSeverities.size() - 1));
  auto known = by_head_alone_ ? known_.find(asked.type) : known_.end();
  if (by_head_alone_ && known == known_.end() && known_.size() < kMaxKnownTypes) {
    known = known_.emplace(std::string(asked.type), Known{}).first;
  }
  if (known != known_.end()) {
    Route& slot = known->second.routes[severity][asked.needs_response];
    bool& decided = known->second.decided[severity][asked.needs_response];
    if (!decided) {
      slot = search(asked, nullptr);
      decided = true;
    }
    route = &slot;
  } else {
    last_ = search(asked, nullptr);
    route = &last_;
  }
  return *route;
}

Explained Router::explain(const Asked& asked) const {
  Explained explained;
  explained.route = search(asked, &explained.why);
  return explained;
}

}  // namespace detent
