#include "routing/router.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/units.h"
#include "routing/builtin_routes.h"

namespace detent {

namespace {

/// Types beyond this many are decided anew each time: a producer that invents types must not fill the memory.
constexpr size_t kMaxKnownTypes = 1024;

bool contains(const std::vector<std::string>& channels, std::string_view channel) {
  return std::find(channels.begin(), channels.end(), channel) != channels.end();
}

void add(std::vector<std::string>& channels, const std::vector<std::string>& more) {
  for (const std::string& channel : more) {
    if (!contains(channels, channel)) channels.push_back(channel);
  }
}

std::string in_words(const std::vector<std::string>& channels) {
  return channels.empty() ? "no channel" : fmt::format("{}", fmt::join(channels, ", "));
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
  return parts.empty() ? "any signal" : fmt::format("{}", fmt::join(parts, ", "));
}

std::string unknown_channel(const Config& config, std::string_view at, std::string_view who,
                            const std::string& channel) {
  return fmt::format("{}: {} goes to \"{}\", which is not configured: {}", at, who, channel,
                     config.remedy_for(channel));
}

}  // namespace

// ---- from the config

Result<Router> Router::compile(const Config& config) {
  const auto& routing = config.of<RoutingConfig>();
  Router router;
  std::vector<std::string> problems;
  router.compile_defaults(config, problems);
  router.compile_operator(config, problems);
  router.compile_own_routes(config, problems);
  if (!problems.empty()) return Error{fmt::format("{}", fmt::join(problems, "\n"))};
  router.operator_first_ = routing.builtin_routes;
  if (routing.builtin_routes) {
    router.add_builtin_routes(config);
  } else if (!router.reaches_operator()) {
    router.notes_.push_back(fmt::format(
        "builtin_routes = false, and no route reaches the operator ({}): what needs a response is not brought to you",
        router.operator_channel_.empty() ? routing.operator_channel + " is not configured" : router.operator_channel_));
  }
  return router;
}

void Router::compile_defaults(const Config& config, std::vector<std::string>& problems) {
  const auto& routes = config.of<RoutingConfig>();
  for (const std::string& channel : routes.default_to) {
    if (config.has_channel(channel)) {
      add(default_to_, {channel});
    } else if (!routes.default_at.empty()) {
      problems.push_back(unknown_channel(config, routes.default_at, "default_to", channel));
    } else {
      notes_.push_back(
          fmt::format("{} is not configured: signals that no route matches are recorded, not delivered anywhere (set "
                      "default_to, or add the channel)",
                      channel));
    }
  }
}

void Router::compile_operator(const Config& config, std::vector<std::string>& problems) {
  const RoutingConfig& routes = config.of<RoutingConfig>();
  if (config.has_channel(routes.operator_channel)) {
    operator_channel_ = routes.operator_channel;
  } else if (!routes.operator_at.empty()) {
    problems.push_back(unknown_channel(config, routes.operator_at, "[operator] channel", routes.operator_channel));
  } else if (routes.builtin_routes) {
    notes_.push_back(fmt::format("{} is not configured: what needs a response goes to default_to ({})",
                                 routes.operator_channel, in_words(default_to_)));
  }
  for (const std::string& channel : routes.operator_alarms_to) {
    if (channel == routes.operator_channel) {
      if (routes.operator_alarms_at.empty()) continue;  // the default, which another default takes the place of
      problems.push_back(fmt::format("{}: [operator] alarms_to names {}, the very channel that these alarms are about",
                                     routes.operator_alarms_at, channel));
    } else if (config.has_channel(channel)) {
      add(about_operator_channel_.channels, {channel});
    } else if (!routes.operator_alarms_at.empty()) {
      problems.push_back(unknown_channel(config, routes.operator_alarms_at, "[operator] alarms_to", channel));
    }
  }
  if (!about_operator_channel_.channels.empty()) return;
  about_operator_channel_.channels = default_to_;
  std::erase(about_operator_channel_.channels, operator_channel_);
}

void Router::compile_own_routes(const Config& config, std::vector<std::string>& problems) {
  const std::vector<RouteConfig>& routes = config.of<RoutingConfig>().routes;
  for (size_t i = 0; i < routes.size(); ++i) {
    const RouteConfig& route = routes[i];
    for (const std::string& channel : route.to) {
      if (!config.has_channel(channel)) {
        problems.push_back(unknown_channel(config, route.at, fmt::format("route {}", i + 1), channel));
      }
    }
    rules_.push_back({route.match, route.to, route.continues, fmt::format("route {} ({})", i + 1, route.at)});
    if (!route.match.source.empty() || !route.match.labels.empty()) by_type_alone_ = false;
  }
}

void Router::add_builtin_routes(const Config& config) {
  std::vector<std::string> missing;
  for (BuiltinRoute& row : builtin_routes()) {
    Rule rule{std::move(row.match), {row.channel}, false, "a built-in route"};
    if (!config.has_channel(row.channel)) {
      add(missing, {row.channel});
      rule.to = default_to_;
    }
    rules_.push_back(std::move(rule));
  }
  if (missing.empty()) return;
  notes_.push_back(fmt::format("not configured: {}; what the built-in routes send there goes to default_to ({})",
                               in_words(missing), in_words(default_to_)));
}

bool Router::reaches_operator() const {
  return !operator_channel_.empty() && (contains(default_to_, operator_channel_) ||
                                        std::any_of(rules_.begin(), rules_.end(), [this](const Rule& rule) {
                                          return rule.match.needs_response.value_or(true) &&
                                                 contains(rule.to, operator_channel_);
                                        }));
}

// ---- for a signal

Route Router::search(const Asked& asked, std::vector<std::string>* why) const {
  Route route;
  if (asked.needs_response && operator_first_) {
    const bool configured = !operator_channel_.empty();
    add(route.channels, configured ? std::vector<std::string>{operator_channel_} : default_to_);
    if (why) {
      why->push_back(fmt::format("it needs a response -> {}, {}", in_words(route.channels),
                                 configured ? "the operator's channel; the others get a copy"
                                            : "by default_to, since no operator's channel is configured"));
    }
  }
  bool ended = false, matched = false;
  for (const Rule& rule : rules_) {
    if (!matches(rule.match, asked)) continue;
    matched = true;
    add(route.channels, rule.to);
    if (why) {
      why->push_back(fmt::format("{} matches: {} -> {}{}", rule.name, in_words(rule.match), in_words(rule.to),
                                 rule.continues ? "; continue" : ""));
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
      why->push_back(fmt::format("{} -> default_to: {}", matched ? "no route ends the search" : "no route matches",
                                 in_words(default_to_)));
    }
  }
  if (asked.type == "task.requested") {
    add(route.channels, {"dispatch"});
    if (why) why->push_back("task.requested always goes to dispatch too");
  }
  if (asked.needs_response) {
    const auto theirs = std::find(route.channels.begin(), route.channels.end(), operator_channel_);
    route.copies = theirs != route.channels.end();
    if (route.copies) std::rotate(route.channels.begin(), theirs, theirs + 1);
  }
  return route;
}

const Route& Router::decide(const Asked& asked) {
  const auto severity = static_cast<size_t>(std::clamp<int>(asked.severity, 0, kSeverities.size() - 1));
  auto known = by_type_alone_ ? known_.find(asked.type) : known_.end();
  if (by_type_alone_ && known == known_.end() && known_.size() < kMaxKnownTypes) {
    known = known_.emplace(std::string(asked.type), Known{}).first;
  }
  if (known == known_.end()) {
    last_ = search(asked, nullptr);
    return last_;
  }
  Route& slot = known->second.routes[severity][asked.needs_response];
  bool& decided = known->second.decided[severity][asked.needs_response];
  if (!decided) {
    slot = search(asked, nullptr);
    decided = true;
  }
  return slot;
}

Explained Router::explain(const Asked& asked) const {
  Explained explained;
  explained.route = search(asked, &explained.why);
  return explained;
}

}  // namespace detent
