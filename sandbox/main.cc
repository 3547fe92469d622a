// detent-sandbox: a local stand-in for the APIs of Discord, Telegram and DigitalOcean, with a page that shows what a
// person would see.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/result.h"
#include "base/version.h"
#include "sandbox/sandbox.h"

using namespace detent;

int main(int argc, char** argv) {
  sandbox::SandboxOptions options;
  std::string discord_limit = "50/1", discord_global = "50/1", telegram_limit = "off", log_format = "text";
  CLI::App app(
      "Stands in for the Discord API (/discord/api/v10), the Telegram Bot API (/telegram/bot<token>/) and "
      "DigitalOcean's API (/digitalocean/v2) on this machine. "
      "It takes any channel, chat and token (one with \"bad\" in it is refused), starts empty and keeps all in memory. "
      "GET / shows what a person would see; /control/ is described in sandbox/README.md.",
      "detent-sandbox");
  app.add_option("--listen", options.listen, "Address and port; port 0 takes any free one")->capture_default_str();
  app.add_option("--record", options.record, "Append each API request to this file as a line of JSON, without tokens");
  app.add_option(
         "--discord-limit", discord_limit,
         "Requests/seconds per route and channel, or off. Wider than the service's own 5/5 for messages, so that a "
         "demonstration is not slowed; give 5/5 for the real thing")
      ->capture_default_str();
  app.add_option("--discord-global", discord_global, "Requests/seconds per token, or off; the service's own is 50/1")
      ->capture_default_str();
  app.add_option("--telegram-limit", telegram_limit,
                 "Sends and edits/seconds per chat, or off; the service's own is about 1/1")
      ->capture_default_str();
  app.add_option("--log-format", log_format, "How to log to stderr")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.set_version_flag("--version", std::string("detent-sandbox ") + kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  setup_log("detent-sandbox", log_format);
  raise_descriptor_limit();

  const std::pair<const std::string&, sandbox::Pace&> limits[] = {{discord_limit, options.discord.channel},
                                                                  {discord_global, options.discord.global},
                                                                  {telegram_limit, options.telegram}};
  for (const auto& [text, into] : limits) {
    const auto pace = sandbox::parse_pace(text);
    if (!pace) {
      std::cerr << "detent-sandbox: " << pace.error().what << "\n";
      return 2;
    }
    into = *pace;
  }

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // in every thread: taken by sigwait below
  try {
    const sandbox::Sandbox sandbox(std::move(options));
    std::cout << "detent-sandbox: " << sandbox.url() << "/" << std::endl;
    int signal = 0;
    sigwait(&ends, &signal);
    return 0;
  } catch (const Failure& failure) {
    std::cerr << "detent-sandbox: " << failure.what() << "\n";
    return 1;
  }
}
