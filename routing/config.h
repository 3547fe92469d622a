// What detent.toml says of where signals go and when they expire: [[route]], default_to, builtin_routes, [operator],
// [expires].
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace detent {

class Section;

struct LabelMatch {
  std::string key, value;  // `value` is a glob
  bool operator==(const LabelMatch&) const = default;
};

/// What a [[route]] asks of a signal; what is not set does not matter.
struct RouteMatch {
  std::vector<std::string> types;  // globs, one of which must fit
  int severity = 0;
  bool severity_exact = false;
  std::string source;  // a glob; empty: any
  std::vector<LabelMatch> labels;
  std::optional<bool> needs_response;
  bool operator==(const RouteMatch&) const = default;
};

struct RouteConfig {
  RouteMatch match;
  std::vector<std::string> to;  // "telegram", "discord.alerts"
  bool continues = false;
  std::string at;  // "detent.toml:12:3", for messages
  bool operator==(const RouteConfig& other) const {
    return match == other.match && to == other.to && continues == other.continues;
  }
};

/// Signals of a type that fits `type` expire `after` their creation; 0: never. The first that fits counts.
struct ExpiresConfig {
  std::string type;
  Millis after{0};
  bool operator==(const ExpiresConfig&) const = default;
};

struct RoutingConfig {
  /// What needs a response goes here.
  std::string operator_channel = "telegram";
  std::string operator_at;  // here and below: empty where the file does not say
  /// Alarms about that channel itself go here.
  std::vector<std::string> operator_alarms_to{"discord.alerts"};
  std::string operator_alarms_at;
  std::vector<std::string> default_to{"discord.system"};
  std::string default_at;
  /// False: signals go where `routes` says, and nowhere else.
  bool builtin_routes = true;
  std::vector<RouteConfig> routes;
  std::vector<ExpiresConfig> expires;

  static constexpr bool kReloads = true;
  void read(Section& file);
  bool operator==(const RoutingConfig& other) const {
    return operator_channel == other.operator_channel && operator_alarms_to == other.operator_alarms_to &&
           default_to == other.default_to && builtin_routes == other.builtin_routes && routes == other.routes &&
           expires == other.expires;
  }
};

}  // namespace detent
