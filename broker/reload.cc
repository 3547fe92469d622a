#include "broker/reload.h"

#include <spdlog/spdlog.h>

#include <boost/json.hpp>

#include "broker/core.h"
#include "routing/router.h"

namespace detent {

Result<std::string> reload(Config& current, const Config& fresh, Core& core) {
  auto router = Router::compile(fresh);
  if (!router) return router.error();
  const auto verdict = [](bool same, bool applied) {
    return same ? "unchanged" : applied ? "applied" : "needs a restart";
  };
  const std::vector<std::string> channels = fresh.channels();
  boost::json::object out{{"channels", verdict(channels == current.channels(), true)},
                          {"state", verdict(fresh.state == current.state, false)},
                          {"log", verdict(fresh.log == current.log, false)},
                          {"redact", verdict(fresh.redact == current.redact, false)}};
  for (const auto& [name, section] : fresh.sections) {
    auto& former = current.sections.at(name);
    out[name] = verdict(section->same(*former), section->reloads());
    // Which channels there are is applied, though what their own processes read of them needs a restart of those.
    if (section->reloads() || !section->naming().empty()) former = section->copy();
  }
  core.reroute(std::move(*router), channels);
  for (const auto& note : core.admission().router().notes()) spdlog::info("{}", note);
  return boost::json::serialize(out);
}

}  // namespace detent
