#include "consumers/text.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdint>

#include "base/utf8.h"

namespace detent::consumers {
namespace {

bool changes_direction(char32_t point) {
  return point == 0x061C || point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x206F);
}

/// The end of the terminal sequence that begins at `at` (an ESC), or `at` where there is none.
size_t terminal_sequence(std::string_view text, size_t at) {
  if (at + 1 >= text.size()) return at;
  size_t end = at + 2;
  const size_t bound = std::min(text.size(), at + 256);
  if (text[at + 1] == '[') {
    while (end < bound && text[end] >= 0x20 && text[end] <= 0x3F) ++end;
    return end < bound && text[end] >= 0x40 && text[end] <= 0x7E ? end + 1 : at;
  }
  if (text[at + 1] == ']') {
    for (; end < bound; ++end) {
      if (text[end] == '\a') return end + 1;
      if (text[end] == '\x1b' && end + 1 < bound && text[end + 1] == '\\') return end + 2;
    }
  }
  return at;
}

}  // namespace

std::string harmless(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char byte = text[at];
    if ((byte >= 0x20 && byte < 0x7F) || byte == '\n' || byte == '\t') {
      out += byte;
      ++at;
      continue;
    }
    if (byte == '\x1b') {
      if (const size_t end = terminal_sequence(text, at); end != at) {
        at = end;
        continue;
      }
    }
    if (byte == '\r') {
      out += '\n';
      at += at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
      continue;
    }
    const auto [point, size, well_formed] = first_character(text.substr(at));
    at += size;
    if (point < 0x20) {
      append_utf8(out, 0x2400 + point);
    } else if (point == 0x7F) {
      append_utf8(out, 0x2421);
    } else if ((point >= 0x80 && point < 0xA0) || (point & 0xFFFE) == 0xFFFE || (point >= 0xFDD0 && point <= 0xFDEF)) {
      append_utf8(out, kReplacement);
    } else if (point == 0x2028 || point == 0x2029) {
      out += '\n';
    } else if (!changes_direction(point) && point != 0xFEFF) {
      append_utf8(out, point);
    }
  }
  return out;
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char byte : harmless(text)) {
    if (byte == '\n' || byte == '\t' || byte == ' ') {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += byte;
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

size_t units(std::string_view text) { return utf16_units(text); }

size_t whole(std::string_view text, size_t at) {
  at = character_start(text, at);
  size_t best = at;
  for (int tries = 0; tries < 16 && best > 0 && best < text.size(); ++tries) {
    const size_t before = character_start(text, best - 1);
    if (!combines(first_character(text.substr(before)).point, first_character(text.substr(best)).point)) return best;
    best = before;
  }
  return best == 0 ? at : best;
}

size_t fit(std::string_view text, size_t limit) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const auto value = static_cast<uint8_t>(text[at]);
    if (continues_character(text[at])) continue;
    count += value >= 0xF0 ? 2 : 1;
    if (count > limit) return whole(text, at);
  }
  return text.size();
}

std::string shorten(std::string_view text, size_t limit) {
  if (units(text) <= limit) return std::string(text);
  if (limit == 0) return "";
  std::string_view head = text.substr(0, fit(text, limit - 1));
  while (!head.empty() && (head.back() == ' ' || head.back() == '\n')) head.remove_suffix(1);
  return std::string(head) + "…";
}

std::string fingerprint(std::string_view text, size_t length) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  unsigned __int128 bits = static_cast<unsigned __int128>(hash.high64) << 64 | hash.low64;
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(length, 25); ++i, bits >>= 5) {
    out += "0123456789abcdefghjkmnpqrstvwxyz"[static_cast<uint32_t>(bits) & 31];
  }
  return out;
}

}  // namespace detent::consumers
