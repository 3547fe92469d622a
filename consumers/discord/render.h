// A story as Discord messages: the JSON of Create Message, within every limit of the API. Pure, and the same each time:
// a redelivery has the same parts with the same nonces (only the mark that it is late may differ).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "consumers/story.h"

namespace detent::discord {

struct Style {
  std::string channel;   // Detent's name of the channel: part of the nonce
  bool silent = false;   // what needs no response here arrives without a buzz
  bool webhook = false;  // no nonce there
  bool repeat = false;   // an earlier attempt perhaps arrived: say so
  // What the channel's permissions allow.
  bool embeds = true;
  bool files = true;
};

struct Message {
  uint32_t part = 0;    // names the request over all attempts; differs where the style had to change
  std::string mark;     // stands in the message, so that it can be found in the channel's history
  std::string payload;  // JSON; payload_json where there is a file
  std::string file_name;
  std::string file;
  bool embeds = false;  // what it needs
};

std::vector<Message> render(const consumers::Story& story, const Style& style);

/// The name of the thread that a story begins, 1 to 100 characters.
std::string thread_name(const consumers::Story& story);
/// Stands in the messages of a thread key, so that the thread is found again after a restart.
std::string thread_mark(std::string_view key);

/// The style of which an earlier attempt's part was.
bool part_without_embeds(uint32_t part);
bool part_without_files(uint32_t part);

}  // namespace detent::discord
