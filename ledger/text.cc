#include "ledger/text.h"

#include <array>
#include <chrono>
#include <cstdint>

namespace detent {
namespace {

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// The length of the well-formed UTF-8 character at the start of `text`, and the character; length 0: not UTF-8.
struct Character {
  std::size_t length = 0;
  char32_t point = 0;
};

Character character_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, lead};
  std::size_t length = 0;
  char32_t point = 0, least = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2, point = lead & 0x1F, least = 0x80;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3, point = lead & 0x0F, least = 0x800;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, point = lead & 0x07, least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    point = point << 6 | (byte(i) & 0x3F);
  }
  if (point < least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return {};
  return {length, point};
}

/// C0 and C1 controls, line and paragraph separators, zero-width and direction marks, and the byte order mark.
bool disturbs_a_line(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point <= 0x9F) || (point >= 0x200B && point <= 0x200F) ||
         (point >= 0x2028 && point <= 0x202E) || (point >= 0x2060 && point <= 0x2069) || point == 0xFEFF ||
         point == 0x061C;
}

void append_digits(std::string& out, unsigned value, int width) {
  char digits[8];
  for (int i = width - 1; i >= 0; --i, value /= 10) digits[i] = static_cast<char>('0' + value % 10);
  out.append(digits, static_cast<std::size_t>(width));
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  out.push_back('"');
  std::size_t plain = 0, i = 0;
  const auto settle = [&](std::string_view instead, std::size_t length) {
    out.append(text, plain, i - plain);
    out.append(instead);
    plain = i += length;
  };
  while (i < text.size()) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
      ++i;
    } else if (c == '"') {
      settle("\\\"", 1);
    } else if (c == '\\') {
      settle("\\\\", 1);
    } else if (c == '\n') {
      settle("\\n", 1);
    } else if (c < 0x20 || c == 0x7F) {
      const char escape[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
      settle({escape, sizeof escape}, 1);
    } else if (const Character at = character_at(text.substr(i)); at.length) {
      i += at.length;
    } else {
      settle(kReplacement, 1);
    }
  }
  out.append(text, plain, i - plain);
  out.push_back('"');
}

void append_json_time(std::string& out, Millis wall) {
  using namespace std::chrono;
  const auto day = floor<days>(wall);
  const year_month_day date{sys_days{day}};
  auto rest = static_cast<unsigned>((wall - day).count());
  const unsigned millis = rest % 1000;
  rest /= 1000;
  out.push_back('"');
  append_digits(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  out.push_back('-');
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out.push_back('-');
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out.push_back('T');
  append_digits(out, rest / 3600, 2);
  out.push_back(':');
  append_digits(out, rest / 60 % 60, 2);
  out.push_back(':');
  append_digits(out, rest % 60, 2);
  out.push_back('.');
  append_digits(out, millis, 3);
  out.append("Z\"");
}

void append_base64(std::string& out, std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const std::size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + start;
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    *to++ = kBase64[three >> 18];
    *to++ = kBase64[three >> 12 & 63];
    *to++ = kBase64[three >> 6 & 63];
    *to++ = kBase64[three & 63];
  }
  const std::size_t left = bytes.size() - i;
  if (left == 0) return;
  const std::uint32_t last = byte(i) << 16 | (left == 2 ? byte(i + 1) << 8 : 0);
  *to++ = kBase64[last >> 18];
  *to++ = kBase64[last >> 12 & 63];
  *to++ = left == 2 ? kBase64[last >> 6 & 63] : '=';
  *to++ = '=';
}

std::optional<std::string> from_base64(std::string_view text) {
  static const auto values = [] {
    std::array<std::int8_t, 256> table;
    table.fill(-1);
    for (int i = 0; i < 64; ++i) table[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
    return table;
  }();
  if (text.size() % 4) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text.substr(0, text.size() - padding)) {
    const int value = values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<char>(bits >> held & 255));
    }
  }
  if (bits & ((1u << held) - 1)) return std::nullopt;
  return bytes;
}

std::string one_line(std::string_view text, std::size_t most) {
  std::string out;
  std::size_t count = 0, before_last = 0;
  bool space = true;
  while (!text.empty()) {
    Character at = character_at(text);
    std::string_view piece = at.length ? text.substr(0, at.length) : kReplacement;
    text.remove_prefix(at.length ? at.length : 1);
    if (at.length && (disturbs_a_line(at.point) || at.point == ' ')) {
      if (space) continue;
      piece = " ";
    }
    if (count == most) {
      out.resize(before_last);
      out.append("…");
      return out;
    }
    space = piece == " ";
    before_last = out.size();
    out.append(piece);
    ++count;
  }
  if (space && !out.empty()) out.pop_back();
  return out;
}

}  // namespace detent
