#include "base/token_shapes.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>

namespace detent {

namespace {

using Found = std::optional<std::span<char>>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_alnum(char c) { return shapes::kind(c) & shapes::kAlnum; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

bool ends_with_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  text.remove_prefix(text.size() - word.size());
  return std::equal(text.begin(), text.end(), word.begin(), [](char a, char b) { return lower(a) == b; });
}

/// A token that begins with `prefix`, followed by at least `least` characters of `rest`.
struct Prefixed {
  std::string_view prefix;
  std::ptrdiff_t least;
  bool (*rest)(char);
};
bool any_token_character(char c) { return is_token_character(c); }
bool upper_or_digit(char c) { return is_upper(c) || is_digit(c); }
bool word_character(char c) { return is_alnum(c) || c == '_'; }
constexpr Prefixed kPrefixed[] = {
    {"ghp_", 36, is_alnum},
    {"gho_", 36, is_alnum},
    {"ghs_", 36, is_alnum},
    {"ghu_", 36, is_alnum},
    {"ghr_", 36, is_alnum},
    {"github_pat_", 22, word_character},
    {"glpat-", 20, any_token_character},
    {"AKIA", 16, upper_or_digit},
    {"ASIA", 16, upper_or_digit},
    {"xoxa-", 10, any_token_character},
    {"xoxb-", 10, any_token_character},
    {"xoxe-", 10, any_token_character},
    {"xoxo-", 10, any_token_character},
    {"xoxp-", 10, any_token_character},
    {"xoxr-", 10, any_token_character},
    {"xoxs-", 10, any_token_character},
    {"xapp-", 20, any_token_character},
    {"sk_live_", 16, is_alnum},
    {"rk_live_", 16, is_alnum},
    {"sk_test_", 16, is_alnum},
    {"rk_test_", 16, is_alnum},
    {"whsec_", 20, is_alnum},
    {"AIza", 35, any_token_character},
    {"dop_v1_", 40, is_alnum},
    {"doo_v1_", 40, is_alnum},
    {"dor_v1_", 40, is_alnum},
    {"npm_", 36, is_alnum},
    {"hf_", 30, is_alnum},
    {"pypi-", 50, any_token_character},
    {"tskey-", 20, any_token_character},
};

/// "sk-" and a part that no word has: sixteen letters and digits on end, with a digit among them.
bool random_after_sk(const char* from, const char* to) {
  for (const char* at = from; at < to;) {
    const char* stop = std::find_if_not(at, to, is_alnum);
    if (stop - at >= 16 && std::any_of(at, stop, is_digit)) return true;
    at = stop + (stop < to);
  }
  return false;
}

/// A token with a known prefix, which may stand behind other words: "key-ghp_…".
Found prefixed(char* from, char* to) {
  bool words_only = false;  // where nothing behind one "sk-" is random, nothing behind a later one is
  for (char* at = from; to - at >= kShortestToken; ++at) {
    if (at > from && is_alnum(at[-1])) {
      at = skip_alnum(at, to, false);
      continue;
    }
    const std::string_view here(at, to - at);
    for (const Prefixed& shape : kPrefixed) {
      if (here[0] != shape.prefix[0] || !here.starts_with(shape.prefix)) continue;
      char* const rest = at + shape.prefix.size();
      char* const stop = std::find_if_not(rest, to, shape.rest);
      const bool exact = shape.rest == upper_or_digit;
      if (exact ? stop - rest == shape.least && stop == to : stop - rest >= shape.least) return std::span(at, stop);
    }
    if (words_only || !here.starts_with("sk-")) continue;
    if (random_after_sk(at + 3, to)) return std::span(at, to);
    words_only = true;
  }
  return std::nullopt;
}

/// The end of the run of token characters that follows a '.' at `dot`; `dot` itself where there is none.
char* part_after(char* dot, char* end) {
  if (dot == end || *dot != '.') return dot;
  return std::find_if_not(dot + 1, end, is_token_character);
}

/// Three parts joined by dots: JWT, Discord bot tokens.
Found dotted(std::span<char> text, char* from, char* to) {
  char* const end = text.data() + text.size();
  char* const second = part_after(to, end);
  if (second == to) return std::nullopt;
  char* const third = part_after(second, end);
  const std::string_view first(from, to - from);
  if (first.starts_with("eyJ") && second - to > 10) return std::span(from, third);
  if (to - from <= 30 && second - to == 7 && third - second > 27) return std::span(from, third);
  if (to - from == 22 && from - text.data() >= 3 && std::string_view(from - 3, 3) == "SG." && second - to == 44) {
    return std::span(from - 3, second);
  }
  return std::nullopt;
}

/// "123456789:AAE…": the part behind the colon is 35 long.
Found telegram(std::span<char> text, char* from, char* to) {
  if (to - from < 35 || to - from > 46 || from == text.data() || from[-1] != ':') return std::nullopt;
  char* digits = from - 1;
  while (digits > text.data() && is_digit(digits[-1])) --digits;
  if (from - 1 - digits < 6 || from - 1 - digits > 14) return std::nullopt;
  return std::span(digits, to);
}

/// The last part of ".../webhooks/ID/TOKEN" and of Slack's ".../services/T…/B…/TOKEN".
Found webhook(std::span<char> text, char* from, char* to) {
  const std::string_view before(text.data(), from - text.data());
  if (before.size() < 12 || before.back() != '/') return std::nullopt;
  const size_t id = before.find_last_of('/', before.size() - 2);
  if (id == std::string_view::npos) return std::nullopt;
  const std::string_view middle = before.substr(id + 1, before.size() - id - 2);
  const std::string_view path = before.substr(0, id);
  if (path.ends_with("/webhooks") && middle.size() >= 15 && std::all_of(middle.begin(), middle.end(), is_digit)) {
    return std::span(from, to);
  }
  const size_t team = path.find_last_of('/');
  if (team != std::string_view::npos && path.substr(0, team).ends_with("hooks.slack.com/services"))
    return std::span(from, to);
  return std::nullopt;
}

/// From "-----BEGIN … PRIVATE KEY-----", which the run's line or one shortly before it is, to its END or the text's.
Found private_key(std::span<char> text, char* from) {
  constexpr size_t far = 512;  // headers of an encrypted key may stand between
  const std::string_view all(text.data(), text.size());
  const size_t here = from - text.data();
  const std::string_view before = all.substr(here - std::min(here, far), std::min(here, far));
  const size_t begin = before.rfind("-----BEGIN ");
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t named = before.find("PRIVATE KEY", begin);
  if (named == std::string_view::npos || named - begin > 40) return std::nullopt;
  if (before.find("-----END ", named) != std::string_view::npos) return std::nullopt;
  const size_t start = here - before.size() + begin;
  size_t stop = all.find("-----END ", here);
  if (stop == std::string_view::npos) return text.subspan(start);
  stop = all.find("-----", stop + 9);
  return text.subspan(start, stop == std::string_view::npos ? std::string_view::npos : stop + 5 - start);
}

Found bearer(std::span<char> text, char* from, char* to) {
  std::string_view before(text.data(), from - text.data());
  if (before.empty() || before.back() != ' ') return std::nullopt;
  before.remove_suffix(1);
  if (!ends_with_word(before, "bearer")) return std::nullopt;
  char* const end = text.data() + text.size();
  char* const stop = std::find_if_not(to, end, [](char c) {
    return is_token_character(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
  });
  return std::span(from, stop);
}

/// How sure the key makes it that its value is a secret.
enum class Key { None, Secret, Password, Header };

Key kind_of_key(std::string_view word) {
  if (word.size() < 3) return Key::None;
  const auto any_of = [&](std::initializer_list<std::string_view> names) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return ends_with_word(word, name); });
  };
  switch (lower(word.back())) {
    case 'd':
      return any_of({"password", "passwd", "pwd"}) ? Key::Password : Key::None;
    case 'e':
      return any_of({"passphrase"}) ? Key::Password : Key::None;
    case 't':
      return any_of({"secret"}) ? Key::Secret : Key::None;
    case 'n':
      return any_of({"authorization"}) ? Key::Header : any_of({"token"}) ? Key::Secret : Key::None;
    case 'y':
      return any_of({"api_key", "api-key", "apikey", "access_key", "accesskey", "access-key", "secret_key", "secretkey",
                     "secret-key", "private_key", "privatekey", "private-key", "account_key", "accountkey", "auth_key"})
                 ? Key::Secret
                 : Key::None;
    default:
      return Key::None;
  }
}

/// The word in front of the separator, past quotes, escapes and Markdown's stars.
std::string_view key_before(std::span<char> text, char* at) {
  char* end = at;
  while (end > text.data() && shapes::kind(end[-1]) == shapes::kQuotes) --end;
  char* begin = end;
  while (begin > text.data() && end - begin < 64 && is_token_character(begin[-1])) --begin;
  return {begin, static_cast<size_t>(end - begin)};
}

/// Whether an unquoted value looks made by a machine: a digit in it, or upper and lower case mixed within.
bool looks_random(std::string_view value) {
  if (value.size() < 8) return false;
  if (std::any_of(value.begin(), value.end(), is_digit)) return true;
  return std::any_of(value.begin() + 1, value.end(), is_upper) && std::any_of(value.begin(), value.end(), is_lower);
}

bool stands_for_a_value(std::string_view value) {
  for (const std::string_view word :
       {"true", "false", "null", "none", "nil", "undefined", "required", "missing", "invalid", "redacted"}) {
    if (value.size() == word.size() && ends_with_word(value, word)) return true;
  }
  if (std::string_view("$<{[(%").find(value.front()) != std::string_view::npos) return true;
  return value.find_first_not_of('*') == std::string_view::npos || value.find('(') != std::string_view::npos;
}

Found url_password(std::span<char> text, char* at) {
  char* const end = text.data() + text.size();
  if (end - at < 6 || at[1] != '/' || at[2] != '/') return std::nullopt;
  char* const host = at + 3;
  char* const stop = std::find_if(host, end, [](char c) {
    return c == '/' || c == '?' || c == '#' || is_space(c) || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`';
  });
  char* sign = stop;
  while (sign > host && sign[-1] != '@') --sign;
  if (sign == host) return std::nullopt;
  --sign;
  char* const colon = std::find(host, sign, ':');
  if (sign - colon < 2) return std::nullopt;
  const std::string_view password(colon + 1, sign - colon - 1);
  if (password.starts_with("[redacted]") || stands_for_a_value(password)) return std::nullopt;
  return std::span(colon + 1, sign);
}

/// A value is judged by its first bytes: a text may be one long line of keys, and each of them would read it all.
constexpr std::ptrdiff_t kJudged = 128;

bool ends_a_header(char c) {
  return c == '\n' || c == '\r' || c == '"' || c == '\'' || c == '`' || c == '\\' || c == ',';
}

/// "Bearer x", "Basic x", "Bot x" or x alone, to the end of the line or the closing quote.
Found header_value(char* from, char* end) {
  char* const judged = from + std::min(end - from, kJudged);
  char* stop = std::find_if(from, judged, ends_a_header);
  char* const blank = std::find(from, stop, ' ');
  if (blank != stop && std::all_of(from, blank, is_alnum)) {
    from = blank + 1;
    stop = std::find(from, stop, ' ');
  } else {
    stop = blank;
  }
  const std::string_view value(from, stop - from);
  if (value.size() < 8 || value.starts_with("[redacted]") || stands_for_a_value(value)) return std::nullopt;
  if (stop == judged) stop = std::find_if(stop, end, [](char c) { return c == ' ' || ends_a_header(c); });
  return std::span(from, stop);
}

using Sixteen = unsigned char __attribute__((vector_size(16)));

bool all_sixteen(const char* at, bool joiners) {
  Sixteen v;
  std::memcpy(&v, at, sizeof v);
  const Sixteen letter = (v | 0x20) - 'a';
  const Sixteen digit = v - '0';
  auto in = (letter < 26) | (digit < 10);
  if (joiners) in |= (v == '_') | (v == '-');
  uint64_t halves[2];
  std::memcpy(halves, &in, sizeof halves);
  return (halves[0] & halves[1]) == ~uint64_t{0};
}

}  // namespace

char* skip_alnum(char* from, char* to, bool joiners) {
  while (to - from >= 16 && all_sixteen(from, joiners)) from += 16;
  const unsigned char kinds = joiners ? shapes::kAlnum | shapes::kJoiner : shapes::kAlnum;
  while (from < to && shapes::kind(*from) & kinds) ++from;
  return from;
}

Found find_token(std::span<char> text, char* from, char* to) {
  if (Found found = prefixed(from, to)) return found;
  if (Found found = dotted(text, from, to)) return found;
  if (Found found = telegram(text, from, to)) return found;
  if (Found found = webhook(text, from, to)) return found;
  if (Found found = bearer(text, from, to)) return found;
  return private_key(text, from);
}

Found find_value(std::span<char> text, char* at) {
  if (*at == ':') {
    if (Found found = url_password(text, at)) return found;
  }
  char* const end = text.data() + text.size();
  if (at > text.data() && (at[-1] == ':' || at[-1] == '=' || at[-1] == '!')) return std::nullopt;
  const Key key = kind_of_key(key_before(text, at));
  if (key == Key::None) return std::nullopt;

  char* from = at + 1;
  if (from < end && *from == *at) return std::nullopt;  // "==" compares, "::" names
  if (from < end && ((*at == ':' && *from == '=') || (*at == '=' && *from == '>'))) ++from;
  while (from < end && (*from == ' ' || *from == '\t' || *from == '*' || *from == '`' || *from == '\\')) ++from;
  if (from == end || std::string_view(at + 1, from - at - 1).find("****") != std::string_view::npos)
    return std::nullopt;
  char quote = 0;
  if (*from == '"' || *from == '\'') quote = *from++;
  if (key == Key::Header) return header_value(from, end);

  const auto ends_it = [&](char c) {
    if (quote) return c == quote || c == '\\' || c == '\n';
    return is_space(c) || c == '"' || c == '\'' || c == '`' || c == ',' || c == ';' || c == '&' || c == '<' ||
           c == '\\';
  };
  const auto trimmed = [&](char* stop) {
    while (!quote && stop > from && std::string_view(")}].|*!?:").find(stop[-1]) != std::string_view::npos) --stop;
    return stop;
  };
  char* const judged = from + std::min(end - from, kJudged);
  char* const seen = std::find_if(from, judged, ends_it);
  char* const stop = trimmed(seen);
  const std::string_view value(from, stop - from);
  if (value.size() < 4 || value.starts_with("[redacted]") || stands_for_a_value(value)) return std::nullopt;
  if (key == Key::Secret && !quote) {
    if (value.front() == '/' || value.find("://") != std::string_view::npos) return std::nullopt;
    if (*at == ':' && !looks_random(value)) return std::nullopt;
    if (value.size() < 8 && std::all_of(value.begin(), value.end(), is_digit)) return std::nullopt;  // a count
  }
  if (key == Key::Password && !quote && *at == ':' && std::all_of(value.begin(), value.end(), is_lower) && stop < end &&
      *stop == ' ') {
    return std::nullopt;  // prose: "password: please choose another"
  }
  if (seen == judged) return std::span(from, trimmed(std::find_if(seen, end, ends_it)));
  return std::span(from, stop);
}

Found find_value_of(std::string_view name, std::span<char> value) {
  const Key key = kind_of_key(name);
  if (key == Key::None) return std::nullopt;
  if (key == Key::Header) return header_value(value.data(), value.data() + value.size());
  const std::string_view text(value.data(), std::min<size_t>(value.size(), kJudged));
  if (text.size() < 4 || text.starts_with("[redacted]") || stands_for_a_value(text)) return std::nullopt;
  return value;
}

}  // namespace detent
