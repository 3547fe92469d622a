// [discord] in detent.toml.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"

namespace detent {
class Section;
}

namespace detent::discord {

/// Either a channel that the bot writes to, or a webhook.
struct ChannelSettings {
  std::string id;
  std::optional<Secret> webhook;
  bool silent = false;
  bool operator==(const ChannelSettings&) const = default;
};

struct Settings {
  std::string api = "https://discord.com/api/v10";
  Secret token{{}, "DISCORD_TOKEN"};
  /// This process's share of the bot's 50 requests a second.
  uint32_t requests_per_second = 5;
  std::map<std::string, ChannelSettings, std::less<>> by_name;  // without "discord."

  void read(Section& file);
  std::vector<std::string> channels() const;
  std::string naming() const { return "discord.NAME"; }
  std::string remedy(std::string_view channel) const;
  std::vector<std::pair<std::string, Secret>> secrets() const;
  bool operator==(const Settings&) const = default;
};

}  // namespace detent::discord
