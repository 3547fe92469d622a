// [telegram] in detent.toml.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"

namespace detent {
class Section;
}

namespace detent::telegram {

struct Settings {
  std::string api = "https://api.telegram.org";
  Secret token{{}, "TELEGRAM_TOKEN"};
  int64_t chat = 0;  // 0: no Telegram
  /// What is less severe and needs no response arrives without a buzz.
  int silent_below = 2;  // warning

  bool configured() const { return chat != 0; }

  void read(Section& file);
  std::vector<std::string> channels() const;
  std::string naming() const { return "telegram"; }
  std::string remedy(std::string_view channel) const;
  std::vector<std::pair<std::string, Secret>> secrets() const;
  bool operator==(const Settings&) const = default;
};

}  // namespace detent::telegram
