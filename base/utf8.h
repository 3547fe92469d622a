// UTF-8: the one place where bytes become characters and characters bytes. What is well-formed, and how wide a
// character is shown, is utf8proc's to say. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace detent {

/// Stands for what is not UTF-8: U+FFFD.
inline constexpr char32_t kReplacement = 0xFFFD;

struct Character {
  char32_t point = kReplacement;
  size_t size = 1;  // bytes
  bool well_formed = false;
};

/// The character at the beginning of `text`, which is not empty. What is not UTF-8 is one byte, shown as U+FFFD.
Character first_character(std::string_view text);

/// Whether `byte` belongs to a character that began before it.
constexpr bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// Well-formed from beginning to end; fast where the text is ASCII.
bool is_utf8(std::string_view text);

/// `text` with every ill-formed byte replaced by U+FFFD.
std::string to_utf8(std::string_view text);

/// Appends `point`, or U+FFFD where it is no code point.
void append_utf8(std::string& out, char32_t point);

// Of well-formed text:

size_t code_points(std::string_view text);
/// Code points, those beyond the first plane counted twice: what Discord's clients and JavaScript count.
size_t utf16_units(std::string_view text);
/// Columns on a terminal.
size_t columns(std::string_view text);

/// The last place at or before `at` where no character is divided.
size_t character_start(std::string_view text, size_t at);
/// At most the first `most` bytes, cut at a character's end.
std::string_view head_of(std::string_view text, size_t most);
/// At most the last `most` bytes, cut at a character's beginning.
std::string_view tail_of(std::string_view text, size_t most);

/// Whether `after` is drawn together with `before` (an accent, a skin tone, a family's next member), so that a text is
/// not to be cut between them.
bool combines(char32_t before, char32_t after);

}  // namespace detent
