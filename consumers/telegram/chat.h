// The operator's Telegram chat. Telegram makes no repeat invisible: what perhaps arrived is sent again, marked as a
// repeat, where it needs a response, and left as unknown else. Nothing is kept on disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/secret.h"
#include "consumers/channel.h"
#include "consumers/telegram/pace.h"
#include "consumers/telegram/render.h"

namespace detent::telegram {

class Chat : public consumers::Channel {
 public:
  struct Place {
    std::string api;   // "https://api.telegram.org"
    std::string name;  // Detent's: "telegram"
    int64_t chat = 0;
    int silent_below = 0;
    Millis deadline{15'000};  // of one request; four times that where a file is sent
  };

  /// `secret` outlives this.
  Chat(Place place, const Secret& secret);

  std::unique_ptr<consumers::Job> take(const Delivery& delivery, std::vector<consumers::PartState> parts,
                                       Now now) override;
  void token_changed() override {}

 private:
  class Job;

  Place place_;
  const Secret& secret_;
  Pace pace_;
};

}  // namespace detent::telegram
