// A story as Telegram messages: the fields of sendMessage and sendDocument, within their limits. Pure, and the same
// each time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consumers/story.h"

namespace detent::telegram {

struct Message {
  uint32_t part = 0;
  std::string method;   // "sendMessage" or "sendDocument"
  std::string payload;  // JSON: the method's fields without chat_id; HTML
  std::string plain;    // the same without markup, made from the source: where the server cannot read the HTML
  std::string file_name;
  std::string file;
};

struct Style {
  int silent_below = 0;  // below this severity what needs no response arrives without a sound
  bool repeat = false;   // an earlier attempt perhaps arrived: say so
};

std::vector<Message> render(const consumers::Story& story, const Style& style);

}  // namespace detent::telegram
