// detent-discord: delivers the signals of Discord channels.
#include <CLI/CLI.hpp>

#include "config/config.h"
#include "consumers/discord/channel.h"
#include "consumers/discord/config.h"
#include "consumers/program.h"

namespace {

using namespace detent;

/// "alerts, briefings": what could have been meant.
std::string known_channels(const discord::Settings& settings) {
  std::string out;
  for (const auto& [name, channel] : settings.by_name) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none; add them to [discord.channels]" : out;
}

/// `limits` are the bot's, so its channels share them, as they share its token.
Result<std::vector<consumers::Served>> channels(const discord::Settings& settings,
                                                const std::vector<std::string>& names, discord::RateLimits& limits) {
  const auto token = std::make_shared<Secret>(settings.token);
  std::vector<consumers::Served> served;
  for (std::string name : names) {
    if (name.starts_with("discord.")) name = name.substr(8);
    const auto found = settings.by_name.find(name);
    if (found == settings.by_name.end()) {
      return Error{"no channel \"" + name + "\" in [discord.channels] (there: " + known_channels(settings) + ")"};
    }
    const discord::ChannelSettings& channel = found->second;
    const auto secret = channel.webhook ? std::make_shared<Secret>(*channel.webhook) : token;
    if (const auto read = secret->refresh(); !read) return read.error();
    const discord::Channel::Place place{.api = settings.api,
                                        .name = "discord." + name,
                                        .id = channel.id,
                                        .webhook = channel.webhook.has_value(),
                                        .silent = channel.silent};
    served.push_back({place.name, std::make_unique<discord::Channel>(place, *secret, limits), secret});
  }
  return served;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> names;
  std::optional<discord::RateLimits> limits;
  return consumers::run(
      {.name = "detent-discord",
       .about = "Delivers the signals of Discord channels: takes them from the broker, sends each as a message, and "
                "tells the broker what became of it.\nOne process serves one channel; repeat --channel where memory is "
                "short. The token is read from [discord] token_file or DISCORD_TOKEN; when it changes, a channel that "
                "Discord refused is tried again.",
       .example = "detent-discord --channel alerts --config /etc/detent/detent.toml",
       .add_options =
           [&](CLI::App& app) {
             app.add_option("--channel", names, "a name of [discord.channels], such as alerts; may be repeated")
                 ->required();
           },
       .channels =
           [&](const Config& config) {
             const auto& settings = config.of<discord::Settings>();
             limits.emplace(discord::RateLimits::Options{.per_second = settings.requests_per_second});
             return channels(settings, names, *limits);
           }},
      argc, argv);
}
