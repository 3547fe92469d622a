// The three mark-up languages. Errors are worded as the service words them, without "can't parse entities: ".
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/utf8.h"
#include "sandbox/telegram_text.h"

namespace detent::sandbox {

Result<Formatted> parse_html(std::string_view text);
Result<Formatted> parse_markdown_v2(std::string_view text);
Result<Formatted> parse_markdown(std::string_view text);

/// Grows a text and remembers its length in UTF-16 units.
class Growing {
 public:
  void put(std::string_view bytes) {
    out_.text += bytes;
    units_ += std::int64_t(utf16_units(bytes));
  }
  std::int64_t units() const { return units_; }
  /// An entity from `offset` to the end, unless it is empty.
  json::object* close(std::string_view type, std::int64_t offset) {
    if (units_ == offset) return nullptr;
    out_.entities.push_back({{"type", type}, {"offset", offset}, {"length", units_ - offset}});
    return &out_.entities.back().get_object();
  }
  Formatted& out() { return out_; }

 private:
  Formatted out_;
  std::int64_t units_ = 0;
};

/// An entity for a link's text, from `offset` on; a text that is no link leaves no entity.
void close_link(Growing& growing, std::int64_t offset, std::string url);

}  // namespace detent::sandbox
