#include "consumers/discord/config.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "config/section.h"

namespace detent::discord {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "discord.";

bool channel_name_ok(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

void read_discord_channel(Reading& reading, const std::string& name, const toml::node& node, ChannelSettings& out) {
  out.silent = name == "system" || name == "sub-agent-results" || name == "memory-updates";
  const auto id_ok = [](std::string_view id) {
    return !id.empty() && id.size() <= 20 && id.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (const auto* id = node.as_string()) {
    out.id = id->get();
    if (!id_ok(out.id)) {
      reading.wrong(
          node.source(),
          fmt::format("the id of channel \"{}\" must be digits, as Discord's \"Copy Channel ID\" gives them", name));
    }
    return;
  }
  const auto* table = node.as_table();
  if (!table) {
    return reading.wrong(node.source(), fmt::format("channel \"{}\" must be an id in quotes, or a table", name));
  }
  Section s(reading, *table, "discord.channels." + name);
  s.parsed(
      "id", out.id, [&](const std::string& id) { return id_ok(id) ? std::optional(id) : std::nullopt; },
      "digits in quotes");
  std::string webhook;
  s.url("webhook", webhook);
  if (!webhook.empty()) out.webhook = Secret::literal(webhook);
  fs::path file;
  s.path("webhook_file", file);
  if (!file.empty()) out.webhook = Secret(file, "");
  s.flag("silent", out.silent);
  const int ways = int(table->contains("id")) + int(table->contains("webhook")) + int(table->contains("webhook_file"));
  if (ways != 1) {
    reading.wrong(node.source(), fmt::format("channel \"{}\" needs exactly one of id, webhook, webhook_file", name));
  }
}

}  // namespace

void Settings::read(Section& file) {
  file.section("discord", [&](Section& s) {
    s.url("api", api);
    s.secret("token_file", token, "DISCORD_TOKEN");
    s.number("requests_per_second", requests_per_second, 1, 50);
    s.table("channels", [&](const toml::table& channels) {
      for (const auto& [key, node] : channels) {
        const std::string name(key.str());
        if (!channel_name_ok(name)) {
          s.reading().wrong(key.source(),
                            fmt::format("a channel's name is lower-case letters, digits, - and _; not \"{}\"", name));
        } else {
          read_discord_channel(s.reading(), name, node, by_name[name]);
        }
      }
    });
  });
}

std::vector<std::string> Settings::channels() const {
  std::vector<std::string> out;
  for (const auto& [name, channel] : by_name) out.push_back(std::string(kPrefix) + name);
  return out;
}

std::string Settings::remedy(std::string_view channel) const {
  if (!channel.starts_with(kPrefix)) return "";
  return fmt::format("add {} to [discord.channels]", channel.substr(kPrefix.size()));
}

std::vector<std::pair<std::string, Secret>> Settings::secrets() const {
  std::vector<std::pair<std::string, Secret>> out;
  for (const auto& [name, channel] : by_name) {
    if (channel.webhook) out.emplace_back(std::string(kPrefix) + name, *channel.webhook);
  }
  const bool bot = std::any_of(by_name.begin(), by_name.end(), [](const auto& one) { return !one.second.id.empty(); });
  if (bot) out.emplace_back("discord", token);
  return out;
}

}  // namespace detent::discord
