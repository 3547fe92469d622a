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

#include "base/result.h"
#include "base/text_map.h"
#include "config/config.h"
#include "routing/config.h"

namespace detent {

/// What routes can ask of a signal.
struct Asked {
  std::string_view type;
  int severity = 0;
  std::string_view source{};
  std::span<const std::pair<std::string_view, std::string_view>> labels{};
  bool needs_response = false;
};

/// The channels chosen, each once. None: the signal is recorded, and not delivered anywhere.
struct Route {
  std::vector<std::string> channels;
  /// The first channel is the operator's, who is to respond there; the others get a copy without buttons.
  bool copies = false;
  /// No route ended the search, so `default_to` was added.
  bool fallback = false;
};

/// A Route and how it came about, for people.
struct Explained {
  Route route;
  std::vector<std::string> why;  // one line a step
};

/// What needs a response goes to the operator's channel first. Then routes are tried in order, one's own before the
/// built-in ones; the first match ends the search unless it continues, and a search that nothing ends goes on to
/// `default_to`. `task.requested` also goes to "dispatch". One thread at a time.
class Router {
 public:
  /// The error has a line for each place of the config that names a channel which is not configured.
  static Result<Router> compile(const Config& config);

  /// Valid until the next call.
  const Route& decide(const Asked& asked);
  Explained explain(const Asked& asked) const;
  /// Where it is said that the operator's channel itself does not work: never to that channel.
  const Route& about_operator_channel() const { return about_operator_channel_; }
  /// Empty where none is configured.
  const std::string& operator_channel() const { return operator_channel_; }

  /// What whoever starts the broker or checks the config should be told, once.
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

  void compile_defaults(const Config& config, std::vector<std::string>& problems);
  void compile_operator(const Config& config, std::vector<std::string>& problems);
  void compile_own_routes(const Config& config, std::vector<std::string>& problems);
  void add_builtin_routes(const Config& config);
  bool reaches_operator() const;
  Route search(const Asked& asked, std::vector<std::string>* why) const;

  std::string operator_channel_;
  bool operator_first_ = true;  // before any route is looked at
  Route about_operator_channel_;
  std::vector<Rule> rules_;
  std::vector<std::string> default_to_;
  std::vector<std::string> notes_;
  bool by_type_alone_ = true;  // no rule looks at source or labels
  TextMap<Known> known_;
  Route last_;
};

}  // namespace detent
