// detent-telegram: delivers what needs the operator to the operator's Telegram chat.
#include <CLI/CLI.hpp>
#include <iostream>

#include "consumers/options.h"
#include "consumers/process.h"
#include "consumers/telegram/chat.h"

int main(int argc, char** argv) {
  using namespace detent;
  CLI::App app{
      "Delivers what needs the operator to the operator's Telegram chat, and tells the broker what became of it.\n"
      "It keeps nothing itself and may be stopped at any time; SIGTERM finishes what is under way. The bot must be "
      "Detent's own, "
      "and the operator must have pressed Start in its chat. The token is read from [telegram] token_file or "
      "TELEGRAM_TOKEN; when "
      "it changes, a chat that Telegram refused is tried again.",
      "detent-telegram"};
  consumers::Options options;
  consumers::add_options(app, options);
  app.footer("Example: detent-telegram --config /etc/detent/detent.toml");
  Config config;
  if (const auto code = consumers::start(app, options, argc, argv, config)) return *code;

  if (!config.telegram.configured()) {
    std::cerr << "detent-telegram: set [telegram] chat to the operator's chat id\n";
    return 2;
  }
  const auto secret = std::make_shared<Secret>(config.telegram.token);
  if (const auto read = secret->refresh(); !read) {
    std::cerr << "detent-telegram: " << read.error().what << "\n";
    return 2;
  }
  const telegram::Chat::Place place{.api = config.telegram.api,
                                    .name = "telegram",
                                    .chat = config.telegram.chat,
                                    .silent_below = config.telegram.silent_below};
  std::vector<consumers::Served> served;
  served.push_back({place.name, std::make_unique<telegram::Chat>(place, *secret), secret});
  return consumers::serve(config.broker.listen, "detent-telegram", std::move(served));
}
