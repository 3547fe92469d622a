// detent-discord: delivers the signals of Discord channels.
#include <CLI/CLI.hpp>
#include <iostream>

#include "consumers/discord/channel.h"
#include "consumers/options.h"
#include "consumers/process.h"

namespace {

using namespace detent;

/// "alerts, briefings": what could have been meant.
std::string known_channels(const Config& config) {
  std::string out;
  for (const auto& [name, channel] : config.discord.channels) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none; add them to [discord.channels]" : out;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Delivers the signals of Discord channels: takes them from the broker, sends each as a message, and tells the "
      "broker "
      "what became of it.\nIt keeps nothing itself and may be stopped at any time; SIGTERM finishes what is under "
      "way.\n"
      "One process serves one channel; repeat --channel where memory is short. The token is read from [discord] "
      "token_file or "
      "DISCORD_TOKEN; when it changes, a channel that Discord refused is tried again.",
      "detent-discord"};
  consumers::Options options;
  std::vector<std::string> names;
  app.add_option("--channel", names, "a name of [discord.channels], such as alerts; may be repeated")->required();
  consumers::add_options(app, options);
  app.footer("Example: detent-discord --channel alerts --config /etc/detent/detent.toml");
  Config config;
  if (const auto code = consumers::start(app, options, argc, argv, config)) return *code;

  discord::RateLimits limits({.per_second = config.discord.requests_per_second});
  const auto token = std::make_shared<Secret>(config.discord.token);
  std::vector<consumers::Served> served;
  std::string shown = "detent-discord";
  for (std::string name : names) {
    if (name.starts_with("discord.")) name = name.substr(8);
    const auto found = config.discord.channels.find(name);
    if (found == config.discord.channels.end()) {
      std::cerr << "detent-discord: no channel \"" << name
                << "\" in [discord.channels] (there: " << known_channels(config) << ")\n";
      return 2;
    }
    const DiscordChannel& channel = found->second;
    const auto secret = channel.webhook ? std::make_shared<Secret>(*channel.webhook) : token;
    if (const auto read = secret->refresh(); !read) {
      std::cerr << "detent-discord: " << read.error().what << "\n";
      return 2;
    }
    const discord::Channel::Place place{.api = config.discord.api,
                                        .name = "discord." + name,
                                        .id = channel.id,
                                        .webhook = channel.webhook.has_value(),
                                        .silent = channel.silent};
    served.push_back({place.name, std::make_unique<discord::Channel>(place, *secret, limits), secret});
    shown += " " + name;
  }
  return consumers::serve(config.broker.listen, shown, std::move(served));
}
