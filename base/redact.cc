#include "base/redact.h"

#include <algorithm>
#include <array>
#include <boost/regex.hpp>
#include <compare>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/token_shapes.h"
#include "base/utf8.h"

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

// What an expression needs on ordinary texts, several times over. The most for 4 MiB is about two seconds.
constexpr size_t kWorkForALine = 1 << 20;
constexpr size_t kWorkForAText = 4 * kWorkForALine;
constexpr size_t kWorkForAByte = 128;

void mask(char* from, char* to) {
  constexpr std::string_view word = "[redacted]";
  const auto size = static_cast<size_t>(to - from);
  const size_t worded = size < word.size() ? 0 : word.size();
  std::memcpy(from, word.data(), worded);
  std::memset(from + worded, '*', size - worded);
}

/// How many bytes may yet be looked at, one that is looked at twice counted twice.
struct Work {
  size_t left;
};

/// A place in a text. To look at the byte there is work, and where none is left it throws Exhausted.
class Place {
 public:
  struct Exhausted : std::runtime_error {
    Exhausted() : std::runtime_error("too much work") {}
  };
  using iterator_category = std::random_access_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Place() = default;
  Place(char* at, Work& work) : at_(at), work_(&work) {}
  char* get() const { return at_; }

  reference operator*() const {
    if (work_->left == 0) throw Exhausted();
    --work_->left;
    return *at_;
  }
  Place& operator+=(difference_type n) { return at_ += n, *this; }
  Place& operator-=(difference_type n) { return at_ -= n, *this; }
  Place& operator++() { return *this += 1; }
  Place& operator--() { return *this -= 1; }
  Place operator++(int) { return std::exchange(*this, *this + 1); }
  Place operator--(int) { return std::exchange(*this, *this - 1); }
  Place operator+(difference_type n) const { return Place(*this) += n; }
  Place operator-(difference_type n) const { return Place(*this) -= n; }
  difference_type operator-(const Place& other) const { return at_ - other.at_; }
  bool operator==(const Place& other) const { return at_ == other.at_; }
  auto operator<=>(const Place& other) const { return at_ <=> other.at_; }

 private:
  char* at_ = nullptr;
  Work* work_ = nullptr;
};

bool redact_line(const boost::regex& expression, char* from, char* end, Work& text) {
  bool any = false;
  const size_t share = std::min(text.left, kWorkForALine + kWorkForAByte * (end - from));
  Work work{share};
  try {
    boost::match_results<Place> match;
    const Place stop(end, work);
    for (Place at(from, work); at < stop && boost::regex_search(at, stop, match, expression, boost::match_not_null);) {
      char* first = match[0].first.get();
      char* last = match[0].second.get();
      while (first > from && continues_character(*first)) --first;
      while (last < end && continues_character(*last)) ++last;
      mask(first, last);
      any = true;
      at = Place(last, work);
    }
  } catch (const std::runtime_error&) {
    mask(from, end);
    any = true;
  }
  text.left -= share - work.left;
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
  char* low = begin;    // all before it is done
  char* whole = begin;  // where the run ends that was looked at last: it may hold many tokens
  for (char* at = begin; end - at >= kWindow; at += kStride) {
    if (at < low || !may_be_inside_a_token(at) || !is_token_character(*at)) continue;
    char* from = at;
    while (from > low && is_token_character(from[-1])) --from;
    char* const to = at < whole ? whole : skip_alnum(at, end, true);
    whole = to;
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
  Work work{compiled_->expressions.size() * (kWorkForAText + kWorkForAByte * text.size())};
  for (char* line = text.data(); line < end;) {
    char* stop = std::find(line, end, '\n');
    for (const boost::regex& expression : compiled_->expressions) any |= redact_line(expression, line, stop, work);
    line = stop == end ? end : stop + 1;
  }
  return any;
}

bool redact_value(std::string_view name, std::span<char> value) {
  const auto secret = find_value_of(name, value);
  if (secret) mask(secret->data(), secret->data() + secret->size());
  return secret.has_value();
}

bool redact(std::span<char> text, const Patterns& patterns) {
  if (text.empty()) return false;
  char* const begin = text.data();
  char* const end = begin + text.size();
  bool any = redact_tokens(begin, end);
  any |= redact_values(begin, end, ':');
  any |= redact_values(begin, end, '=');
  any |= patterns.redact(text);
  return any;
}

}  // namespace detent
