#include "ledger/text.h"

#include <chrono>
#include <cstdint>

#include "base/utf8.h"

namespace detent {
namespace {

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

std::string one_line(std::string_view text, std::size_t most) {
  std::string out;
  std::size_t count = 0, before_last = 0;
  bool space = true;
  while (!text.empty()) {
    const Character at = first_character(text);
    std::string_view piece = at.well_formed ? text.substr(0, at.size) : "\uFFFD";
    text.remove_prefix(at.size);
    if ((disturbs_a_line(at.point) || at.point == ' ')) {
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
