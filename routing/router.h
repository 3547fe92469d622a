// Which channels a signal goes to. Plain functions without I/O: compiled once from the config, asked once for every
// signal at admission.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "base/text_map.h"

namespace detent {

/// What routes can ask of a signal.
struct Asked {
  std::string_view type;
  int severity = 0;
  std::string_view source{};
  std::span<const std::pair<std::string_view, std::string_view>> labels{};
  bool needs_response = false;
};

/// The channels chosen, in the order in which the routes name them, each once. Empty: the ledger alone keeps the
/// signal.
struct Route {
  std::vector<std::string> channels;
  bool fallback = false;  // no route ended the search, so `default_to` was added
};

/// A Route and how it came about, for people.
struct Explained {
  Route route;
  std::vector<std::string> why;  // one line a step
};

/// Routes are tried in order; the first match ends the search unless it continues, and a search that nothing ends goes
/// on to `default_to`. `task.requested` also goes to "dispatch". One thread at a time.
class Router {
 public:
  /// From the [[route]]s, or from the default table where there are none. The error has a line for each route, or
  /// default_to, that names a channel which is not configured.
  static Result<Router> compile(const Config& config);

  /// Valid until the next call.
  const Route& decide(const Asked& asked);
  Explained explain(const Asked& asked) const;

  /// What the operator should be told once: built-in routes whose channel is not configured.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct Rule {
    RouteMatch match;
    std::vector<std::string> to;
    bool continues = false;
    std::string name;  // "route 3 (detent.toml:12:1)", "a built-in route"
  };
  struct Known {
    std::array<std::array<Route, 2>, 5> routes;
    std::array<std::array<bool, 2>, 5> decided{};
  };

  Route search(const Asked& asked, std::vector<std::string>* why) const;

  std::vector<Rule> rules_;
  std::vector<std::string> default_to_;
  std::vector<std::string> notes_;
  bool by_head_alone_ = true;  // no rule looks at source or labels
  TextMap<Known> known_;
  Route last_;
};

}  // namespace detent
