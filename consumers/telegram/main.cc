// detent-telegram: delivers what needs the operator to the operator's Telegram chat.
#include "config/config.h"
#include "consumers/program.h"
#include "consumers/telegram/chat.h"
#include "consumers/telegram/config.h"

namespace {

using namespace detent;

Result<std::vector<consumers::Served>> channels(const Config& config) {
  const auto& settings = config.of<telegram::Settings>();
  if (!settings.configured()) return Error{"set [telegram] chat to the operator's chat id"};
  const auto secret = std::make_shared<Secret>(settings.token);
  if (const auto read = secret->refresh(); !read) return read.error();
  const telegram::Chat::Place place{
      .api = settings.api, .name = "telegram", .chat = settings.chat, .silent_below = settings.silent_below};
  std::vector<consumers::Served> served;
  served.push_back({place.name, std::make_unique<telegram::Chat>(place, *secret), secret});
  return served;
}

}  // namespace

int main(int argc, char** argv) {
  return consumers::run(
      {.name = "detent-telegram",
       .about = "Delivers what needs the operator to the operator's Telegram chat, and tells the broker what became of "
                "it.\nThe bot must be Detent's own, and the operator must have pressed Start in its chat. The token is "
                "read from [telegram] token_file or TELEGRAM_TOKEN; when it changes, a chat that Telegram refused is "
                "tried again.",
       .example = "detent-telegram --config /etc/detent/detent.toml",
       .channels = channels},
      argc, argv);
}
