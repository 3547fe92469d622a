#include "base/redact.h"

#include <algorithm>
#include <array>
#include <boost/regex.hpp>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/token_shapes.h"

namespace detent {

struct Patterns::Compiled {
  std::vector<boost::regex> expressions;
};

Patterns::Patterns() = default;
Patterns::~Patterns() = default;
Patterns::Patterns(const Patterns&) = default;
Patterns::Patterns(Patterns&&) noexcept = default;
Patterns& Patterns::operator=(Patterns other) {
  compiled_.swap(other.compiled_);
  return *this;
}

Result<Patterns> Patterns::compile(const std::vector<std::string>& expressions) {
  auto compiled = std::make_shared<Compiled>();
  for (const std::string& expression : expressions) {
    try {
      compiled->expressions.emplace_back(expression, boost::regex::perl);
    } catch (const boost::regex_error& error) {
      return Error{"the pattern '" + expression + "' does not compile: " + error.what()};
    }
    if (boost::regex_match("", compiled->expressions.back())) {
      return Error{"the pattern '" + expression + "' matches the empty text, so it would match everywhere"};
    }
  }
  Patterns patterns;
  if (!compiled->expressions.empty()) patterns.compiled_ = std::move(compiled);
  return patterns;
}

namespace {

bool continues_a_character(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

void mask(char* from, char* to) {
  constexpr std::string_view word = "[redacted]";
  const auto size = static_cast<size_t>(to - from);
  const size_t worded = size < word.size() ? 0 : word.size();
  std::memcpy(from, word.data(), worded);
  std::memset(from + worded, '*', size - worded);
}

bool redact_line(const boost::regex& expression, char* from, char* end) {
  bool any = false;
  try {
    boost::match_results<char*> match;
    for (char* at = from; at < end && boost::regex_search(at, end, match, expression, boost::match_not_null);) {
      char* first = match[0].first;
      char* last = match[0].second;
      while (first > from && continues_a_character(*first)) --first;
      while (last < end && continues_a_character(*last)) ++last;
      mask(first, last);
      any = true;
      at = last;
    }
  } catch (const std::runtime_error&) {
    mask(from, end);
    any = true;
  }
  return any;
}

/// Any run of at least 20 token characters contains eight of them beginning at a multiple of twelve, so only eight
/// bytes in twelve are looked at, all at once: none may be below '-' or above ASCII.
constexpr ptrdiff_t kStride = 12;
constexpr ptrdiff_t kWindow = 8;

bool may_be_inside_a_token(const char* at) {
  constexpr uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
  uint64_t eight = 0;
  std::memcpy(&eight, at, sizeof eight);
  const uint64_t at_least_dash = (eight | highs) - ones * '-';
  return (at_least_dash & ~eight & highs) == highs;
}

bool redact_tokens(char* begin, char* end) {
  bool any = false;
  char* low = begin;  // all before it is done
  for (char* at = begin; end - at >= kWindow; at += kStride) {
    if (at < low || !may_be_inside_a_token(at) || !is_token_character(*at)) continue;
    char* from = at;
    while (from > low && is_token_character(from[-1])) --from;
    char* const to = skip_alnum(at, end, true);
    low = to;
    if (to - from < kShortestToken) continue;
    if (const auto token = find_token({begin, end}, from, to)) {
      mask(token->data(), token->data() + token->size());
      low = token->data() + token->size();
      any = true;
      at = begin + (low - begin) / kStride * kStride - kStride;
    }
  }
  return any;
}

/// Whether there is any ':' or '=': most texts have neither.
bool has_separator(const char* at, const char* end) {
  constexpr uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
  const auto has_zero = [](uint64_t eight) { return (eight - ones) & ~eight & highs; };
  for (; end - at >= 8; at += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, at, sizeof eight);
    if (has_zero(eight ^ ones * ':') | has_zero(eight ^ ones * '=')) return true;
  }
  return std::any_of(at, end, [](char c) { return c == ':' || c == '='; });
}

bool redact_values(char* begin, char* end, char separator) {
  bool any = false;
  for (char* at = begin; at < end && (at = static_cast<char*>(std::memchr(at, separator, end - at))); ++at) {
    const bool maybe = may_follow_a_key(begin, at) || (end - at > 2 && at[1] == '/' && at[2] == '/');
    if (!maybe) continue;
    if (const auto value = find_value({begin, end}, at)) {
      mask(value->data(), value->data() + value->size());
      any = true;
    }
  }
  return any;
}

}  // namespace

bool Patterns::redact(std::span<char> text) const {
  if (!compiled_ || text.empty()) return false;
  bool any = false;
  char* const end = text.data() + text.size();
  for (char* line = text.data(); line < end;) {
    char* stop = std::find(line, end, '\n');
    for (const boost::regex& expression : compiled_->expressions) any |= redact_line(expression, line, stop);
    line = stop == end ? end : stop + 1;
  }
  return any;
}

bool redact(std::span<char> text, const Patterns& patterns) {
  if (text.empty()) return false;
  char* const begin = text.data();
  char* const end = begin + text.size();
  bool any = redact_tokens(begin, end);
  if (has_separator(begin, end)) {
    any |= redact_values(begin, end, ':');
    any |= redact_values(begin, end, '=');
  }
  any |= patterns.redact(text);
  return any;
}

}  // namespace detent
