// Telegram's marked-up texts, turned into plain text and entities the way the Bot API does it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sandbox/json.h"

namespace detent::sandbox {

/// Plain text, trimmed, with the API's MessageEntity objects (offsets and lengths in UTF-16 units).
struct Formatted {
  std::string text;
  json::array entities;
};

/// `mode` is "", "HTML", "MarkdownV2" or "Markdown", in any case. An Error's text is what follows "Bad Request: ".
Result<Formatted> parse_formatted(std::string_view text, std::string_view mode);

/// The same of text whose entities came along in the request.
Result<Formatted> with_entities(std::string_view text, const json::array& entities);

}  // namespace detent::sandbox
