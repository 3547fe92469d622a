// One Discord channel, written to by the bot or by a webhook. What was learnt about it (its guild, what its permissions
// allow, its threads) lives as long as the process; nothing is kept on disk.
#pragma once

#include <map>
#include <string>

#include "base/secret.h"
#include "base/version.h"
#include "consumers/channel.h"
#include "consumers/discord/history.h"
#include "consumers/discord/rate_limits.h"
#include "consumers/discord/render.h"

namespace detent::discord {

inline const std::string kUserAgent = std::string("DiscordBot (https://detent.invalid, ") + kVersion + ")";

class Channel : public consumers::Channel {
 public:
  struct Place {
    std::string api;   // "https://discord.com/api/v10"
    std::string name;  // Detent's: "discord.alerts"
    std::string id;    // the channel's; empty for a webhook
    bool webhook = false;
    bool silent = false;
    Millis deadline{15'000};  // of one request; four times that where a file is sent
  };

  /// `secret` is the bot's token, or the webhook's whole URL. Both it and `limits` may be shared with other channels of
  /// the process, on the same thread, and outlive this.
  Channel(Place place, const Secret& secret, RateLimits& limits);

  std::unique_ptr<consumers::Job> take(const Delivery& delivery, std::vector<consumers::PartState> parts,
                                       Now now) override;
  void token_changed() override;

 private:
  friend class Job;
  /// "https://discord.com/channels/GUILD/CHANNEL/MESSAGE"; empty while the guild is not known.
  std::string link(const std::string& channel, const std::string& message) const;
  void say_once(const std::string& what, std::string line);

  Place place_;
  const Secret& secret_;
  RateLimits& limits_;
  Style style_;  // embeds and files: false once Discord refused them here
  bool threads_ = true;
  std::string guild_;
  Millis learn_after_{0};
  bool learnt_ = false;
  bool threads_looked_up_ = false;
  Roots roots_;
  std::map<std::string, bool> once_;
};

}  // namespace detent::discord
