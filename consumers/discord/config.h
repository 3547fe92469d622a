// [discord] in detent.toml.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/channel_section.h"
#include "base/secret.h"

namespace detent::discord {

/// Either a channel that the bot writes to, or a webhook.
struct ChannelSettings {
  std::string id;
  std::optional<Secret> webhook;
  bool silent = false;
  bool operator==(const ChannelSettings&) const = default;
};

struct Settings : ChannelSection {
  std::string api = "https://discord.com/api/v10";
  Secret token{{}, "DISCORD_TOKEN"};
  /// This process's share of the bot's 50 requests a second.
  uint32_t requests_per_second = 5;
  std::map<std::string, ChannelSettings, std::less<>> by_name;  // without "discord."

  void read(Section& section) override;
  std::vector<std::string> channels() const override;
  std::string naming() const override { return "discord.NAME"; }
  std::string remedy(std::string_view channel) const override;
  std::vector<std::pair<std::string, Secret>> secrets() const override;
  bool same(const ChannelSection& other) const override;
};

}  // namespace detent::discord
