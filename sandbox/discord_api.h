// Discord's REST API over the server in memory: routes, authentication, error bodies, rate limits, nonces.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/server.h"
#include "sandbox/discord.h"
#include "sandbox/faults.h"
#include "sandbox/pace.h"

namespace detent::sandbox {

/// The last parameter of a limit is what its own documentation names: `channel` is per route and channel or webhook,
/// `global` per token.
struct DiscordLimits {
  Pace channel{50, Millis(1000)};
  Pace global{50, Millis(1000)};
};

/// One request, taken apart.
struct DiscordCall {
  std::string method;
  std::string path;                   // after /api/v10
  std::vector<std::string> segments;  // of the path
  http::Headers query;
  std::string token;       // of the Authorization header, without "Bot "
  bool agent = false;      // there is a User-Agent
  bool malformed = false;  // the body is no JSON object
  json::object body;       // JSON, or payload_json
  bool has_body = false;
  std::vector<std::pair<std::string, Attachment>> files;  // by the field's name
  std::string channel;                                    // the channel, thread or webhook id in the path
};

DiscordCall parse_discord_call(const http::Incoming& in, std::string_view path);

class DiscordApi {
 public:
  DiscordApi(Discord& server, DiscordLimits limits)
      : server_(server), channel_(limits.channel), global_(limits.global) {}

  /// Answers, or answers with the fault, which is of Kind::Status, in the service's words.
  http::Outgoing answer(DiscordCall& call, const Fault* fault, Now now);
  void forget_nonces() { nonces_.clear(); }
  void clear();

 private:
  struct Route;
  static const Route kRoutes[];
  struct Sent {
    std::uint64_t channel, message;
    Millis at;
  };
  using Out = http::Outgoing;

  Out create_message(DiscordCall&, Now);
  Out list_messages(DiscordCall&, Now);
  Out get_message(DiscordCall&, Now);
  Out edit_message(DiscordCall&, Now);
  Out delete_message(DiscordCall&, Now);
  Out thread_on_message(DiscordCall&, Now);
  Out thread_alone(DiscordCall&, Now);
  Out get_channel(DiscordCall&, Now);
  Out typing(DiscordCall&, Now);
  Out list_pins(DiscordCall&, Now);
  Out set_pin(DiscordCall&, Now);
  Out me(DiscordCall&, Now);
  Out guild(DiscordCall&, Now);
  Out guild_channels(DiscordCall&, Now);
  Out get_webhook(DiscordCall&, Now);
  Out execute_webhook(DiscordCall&, Now);
  Out webhook_message(DiscordCall&, Now);

  Out apply_edit(DiscordCall&, Discord::Channel&, json::object& message, Now);
  std::optional<Out> refuse_old_edit(const json::object& message, Now);
  /// Denials that keep a message with this content out of the channel.
  std::optional<Out> refuse_send(const Discord::Channel&, const DiscordCall&);
  json::object author(const DiscordCall&) const;

  Discord& server_;
  Paces channel_, global_;
  Paces old_edits_{Pace{3, Millis(6000)}};
  std::map<std::string, Sent> nonces_;  // token and nonce
};

}  // namespace detent::sandbox
