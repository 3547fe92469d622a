#include "consumers/text.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdint>

namespace detent::consumers {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;

/// Takes one code point from the beginning of `text`; U+FFFD and one byte where it is not valid UTF-8.
uint32_t take(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0U; };
  const uint32_t first = byte(at);
  if (first < 0x80) {
    ++at;
    return first;
  }
  const int more = first >= 0xF0 && first <= 0xF4 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
  if (more == 0 || first > 0xF4) {
    ++at;
    return kReplacement;
  }
  uint32_t point = first & (0x3FU >> more);
  for (int i = 1; i <= more; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) {
      ++at;
      return kReplacement;
    }
    point = point << 6 | (byte(at + i) & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (point < kLeast[more] || (point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF) {
    ++at;
    return kReplacement;
  }
  at += more + 1;
  return point;
}

void put(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

bool changes_direction(uint32_t point) {
  return point == 0x061C || point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x206F);
}

bool combines(uint32_t point) {
  return (point >= 0x0300 && point <= 0x036F) || point == 0x200D || (point >= 0xFE00 && point <= 0xFE0F) ||
         (point >= 0x1F3FB && point <= 0x1F3FF) || (point >= 0x20D0 && point <= 0x20FF) ||
         (point >= 0x1AB0 && point <= 0x1AFF) || (point >= 0xE0020 && point <= 0xE007F);
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
    const uint32_t point = take(text, at);
    if (point < 0x20) {
      put(out, 0x2400 + point);
    } else if (point == 0x7F) {
      put(out, 0x2421);
    } else if ((point >= 0x80 && point < 0xA0) || (point & 0xFFFE) == 0xFFFE || (point >= 0xFDD0 && point <= 0xFDEF)) {
      put(out, kReplacement);
    } else if (point == 0x2028 || point == 0x2029) {
      out += '\n';
    } else if (!changes_direction(point) && point != 0xFEFF) {
      put(out, point);
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

size_t units(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) {
    const auto value = static_cast<uint8_t>(byte);
    count += (value & 0xC0) != 0x80;
    count += value >= 0xF0;
  }
  return count;
}

size_t whole(std::string_view text, size_t at) {
  at = std::min(at, text.size());
  while (at > 0 && at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  size_t best = at;
  for (int tries = 0; tries < 16 && best > 0 && best < text.size(); ++tries) {
    size_t next = best;
    size_t before = best - 1;
    while (before > 0 && (static_cast<uint8_t>(text[before]) & 0xC0) == 0x80) --before;
    size_t previous = before;
    if (!combines(take(text, next)) && take(text, previous) != 0x200D) return best;
    best = before;
  }
  return best == 0 ? at : best;
}

size_t fit(std::string_view text, size_t limit) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const auto value = static_cast<uint8_t>(text[at]);
    if ((value & 0xC0) == 0x80) continue;
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
