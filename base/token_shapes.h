// What the secrets of common services look like. base/redact.cc finds the places worth a look; this says what is there.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace detent {

namespace shapes {
enum : unsigned char { kAlnum = 1, kJoiner = 2, kEndsAKey = 4, kQuotes = 8 };
constexpr std::array<unsigned char, 256> character_kinds() {
  std::array<unsigned char, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = kAlnum;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = table[c - 'A' + 'a'] = kAlnum;
  table['_'] = table['-'] = kJoiner;
  for (const char c : {'d', 'e', 't', 'n', 'y', 'D', 'E', 'T', 'N', 'Y'})
    table[static_cast<unsigned char>(c)] |= kEndsAKey;
  for (const char c : {' ', '"', '\'', '\\', '*', '`'}) table[static_cast<unsigned char>(c)] = kQuotes;
  return table;
}
inline constexpr auto kKinds = character_kinds();
inline unsigned char kind(char c) { return kKinds[static_cast<unsigned char>(c)]; }
}  // namespace shapes

/// Letters, digits, '_' and '-'.
inline bool is_token_character(char c) { return shapes::kind(c) & (shapes::kAlnum | shapes::kJoiner); }

/// Shorter runs of token characters are not looked at: no known token has one.
inline constexpr std::ptrdiff_t kShortestToken = 20;

/// [from, to) is a whole run of token characters in `text`. The bytes of the secret that the run is, holds or begins.
std::optional<std::span<char>> find_token(std::span<char> text, char* from, char* to);

/// Whether what stands before `at`, a ':' or '=', may be the name of a secret ("password", "token", "api_key" …).
inline bool may_follow_a_key(const char* begin, const char* at) {
  while (at > begin && shapes::kind(at[-1]) == shapes::kQuotes) --at;
  return at > begin && shapes::kind(at[-1]) & shapes::kEndsAKey;
}

/// The first of [from, to) that is no letter or digit (and with `joiners` no '_' or '-' either); `to` where all are.
char* skip_alnum(char* from, char* to, bool joiners);

/// `at` is a ':' or '=' in `text`. The value that follows where what stands before calls it a secret, or the password
/// where it is in a URL.
std::optional<std::span<char>> find_value(std::span<char> text, char* at);

/// What of `value` is secret where `name` calls it one.
std::optional<std::span<char>> find_value_of(std::string_view name, std::span<char> value);

}  // namespace detent
