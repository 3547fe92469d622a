#include "consumers/telegram/config.h"

#include <limits>

#include "config/section.h"

namespace detent::telegram {

void Settings::read(Section& file) {
  file.section("telegram", [&](Section& section) {
    section.url("api", api);
    section.secret("token_file", token, "TELEGRAM_TOKEN");
    section.number("chat", chat, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
    section.parsed(
        "silent_below", silent_below, [](const std::string& text) { return parse_severity(text); },
        "one of info, notice, warning, error, critical");
  });
}

std::vector<std::string> Settings::channels() const {
  return configured() ? std::vector<std::string>{"telegram"} : std::vector<std::string>();
}

std::string Settings::remedy(std::string_view channel) const {
  return channel == "telegram" ? "set [telegram] chat" : "";
}

std::vector<std::pair<std::string, Secret>> Settings::secrets() const {
  if (!configured()) return {};
  return {{"telegram", token}};
}

}  // namespace detent::telegram
