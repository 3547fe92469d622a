// The /control routes: what is there now, the operator's hand, faults and permissions. Described in sandbox/README.md.
#pragma once

#include <string_view>

#include "http/server.h"
#include "sandbox/digitalocean.h"
#include "sandbox/discord_api.h"
#include "sandbox/faults.h"
#include "sandbox/telegram.h"

namespace detent::sandbox {

struct Control {
  Discord& discord;
  DiscordApi& discord_api;
  Telegram& telegram;
  DigitalOcean& ocean;
  Faults& faults;

  /// `path` is what follows "/control/".
  http::Outgoing answer(const http::Incoming& in, std::string_view path, Now now);

 private:
  http::Outgoing messages(const http::Incoming& in) const;
  http::Outgoing send(const json::object& body, Now now);
  http::Outgoing press(const json::object& body, Now now);
  http::Outgoing migrate(const json::object& body);
  http::Outgoing permissions(const json::object& body);
  http::Outgoing name(const json::object& body);
};

}  // namespace detent::sandbox
