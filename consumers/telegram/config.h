// [telegram] in detent.toml.
#pragma once

#include <cstdint>
#include <string>

#include "base/channel_section.h"
#include "base/secret.h"

namespace detent::telegram {

struct Settings : ChannelSection {
  std::string api = "https://api.telegram.org";
  Secret token{{}, "TELEGRAM_TOKEN"};
  int64_t chat = 0;  // 0: no Telegram
  /// What is less severe and needs no response arrives without a buzz.
  int silent_below = 2;  // warning

  bool configured() const { return chat != 0; }

  void read(Section& section) override;
  std::vector<std::string> channels() const override;
  std::string naming() const override { return "telegram"; }
  std::string remedy(std::string_view channel) const override;
  std::vector<std::pair<std::string, Secret>> secrets() const override;
  bool same(const ChannelSection& other) const override;
};

}  // namespace detent::telegram
