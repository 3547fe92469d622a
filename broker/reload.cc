#include "broker/reload.h"

#include <spdlog/spdlog.h>

#include <boost/json.hpp>

#include "broker/core.h"
#include "routing/router.h"

namespace detent {

Result<std::string> reload(Config& current, Core& core) {
  auto fresh = load_config(current.file.string());
  if (!fresh) return fresh.error();
  auto router = Router::compile(*fresh);
  if (!router) return router.error();
  // Routes, expiry and channels are taken at once; what is bound or opened at start asks for one.
  const auto verdict = [](bool same, bool at_once) {
    return same ? "unchanged" : at_once ? "applied" : "needs a restart";
  };
  const bool same_state = fresh->state == current.state;
  boost::json::object out{{"routes", verdict(fresh->routes == current.routes, true)},
                          {"expires", verdict(fresh->expires == current.expires, true)},
                          {"channels", verdict(fresh->channels() == current.channels(), true)},
                          {"state", verdict(same_state, false)},
                          {"broker", verdict(fresh->broker == current.broker, false)},
                          {"ledger", verdict(fresh->ledger == current.ledger, false)},
                          {"redact", verdict(fresh->redact == current.redact, false)}};
  for (const auto& [name, section] : fresh->channel_sections) {
    out[name] = verdict(fresh->same_section(name, current), false);
  }
  current.routes = fresh->routes;
  current.expires = fresh->expires;
  current.channel_sections = fresh->channel_sections;
  core.reroute(std::move(*router), current.channels());
  for (const auto& note : core.admission().router().notes()) spdlog::info("{}", note);
  return boost::json::serialize(out);
}

}  // namespace detent
