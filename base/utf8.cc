#include "base/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace detent {
namespace {

const uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

bool eight_are_ascii(const char* eight_bytes) {
  uint64_t eight = 0;
  std::memcpy(&eight, eight_bytes, sizeof eight);
  return (eight & 0x8080808080808080) == 0;
}

}  // namespace

Character first_character(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) < 0x80) return {static_cast<unsigned char>(text[0]), 1, true};
  utf8proc_int32_t point = 0;
  const auto size = utf8proc_iterate(bytes_of(text), static_cast<utf8proc_ssize_t>(text.size()), &point);
  if (size <= 0) return {};
  return {static_cast<char32_t>(point), static_cast<size_t>(size), true};
}

bool is_utf8(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    // Nearly all text is ASCII: eight bytes at once, the last ones by looking at some a second time.
    while (end - at >= 8 && eight_are_ascii(at)) at += 8;
    if (at == end || (end - at < 8 && text.size() >= 8 && eight_are_ascii(end - 8))) break;
    if (static_cast<signed char>(*at) >= 0) {
      ++at;
      continue;
    }
    utf8proc_int32_t point = 0;
    const auto size = utf8proc_iterate(reinterpret_cast<const uint8_t*>(at), end - at, &point);
    if (size <= 0) return false;
    at += size;
  }
  return true;
}

std::string to_utf8(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string out;
  out.reserve(text.size() + 16);
  while (!text.empty()) {
    const Character character = first_character(text);
    if (character.well_formed) {
      out += text.substr(0, character.size);
    } else {
      append_utf8(out, kReplacement);
    }
    text.remove_prefix(character.size);
  }
  return out;
}

void append_utf8(std::string& out, char32_t point) {
  const auto code = static_cast<utf8proc_int32_t>(point);
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(utf8proc_codepoint_valid(code) ? code : utf8proc_int32_t{kReplacement}, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

size_t code_points(std::string_view text) {
  return text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

size_t utf16_units(std::string_view text) {
  // A character of four bytes is a pair of surrogates.
  const auto pairs = std::count_if(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) >= 0xF0; });
  return code_points(text) + static_cast<size_t>(pairs);
}

size_t columns(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    count += static_cast<size_t>(utf8proc_charwidth(static_cast<utf8proc_int32_t>(character.point)));
    text.remove_prefix(character.size);
  }
  return count;
}

size_t character_start(std::string_view text, size_t at) {
  if (at >= text.size()) return text.size();
  while (at > 0 && continues_character(text[at])) --at;
  return at;
}

std::string_view head_of(std::string_view text, size_t most) { return text.substr(0, character_start(text, most)); }

std::string_view tail_of(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  text.remove_prefix(text.size() - most);
  while (!text.empty() && continues_character(text.front())) text.remove_prefix(1);
  return text;
}

bool combines(char32_t before, char32_t after) {
  constexpr char32_t kJoiner = 0x200D;
  return before == kJoiner ||
         !utf8proc_grapheme_break(static_cast<utf8proc_int32_t>(before), static_cast<utf8proc_int32_t>(after));
}

}  // namespace detent
