// Text of models and logs, made fit to be shown: valid UTF-8 without control or direction-changing characters. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace detent::consumers {

/// `text` as people should see it. Broken UTF-8 becomes U+FFFD, control characters their pictures (NUL: U+2400);
/// terminal sequences and the characters that change the direction of writing are dropped; line ends become "\n".
std::string harmless(std::string_view text);

/// The same on one line: all white space becomes single blanks, none at the ends.
std::string one_line(std::string_view text);

/// Length in UTF-16 units: what Discord's clients count and never less than the code points that Telegram counts.
size_t units(std::string_view text);

/// The bytes of the longest beginning of `text` (valid UTF-8) with at most `limit` units. Does not end inside a code
/// point, nor where that can be avoided between a character and what combines with it.
size_t fit(std::string_view text, size_t limit);

/// The last place at or before `at` where `text` may be cut without dividing a character from what combines with it.
size_t whole(std::string_view text, size_t at);

/// `text` cut to at most `limit` units, with "…" at the end where something is missing.
std::string shorten(std::string_view text, size_t limit);

/// A name of at most 25 characters of [0-9a-z], the same for the same text: what a nonce and a thread's mark are made
/// of.
std::string fingerprint(std::string_view text, size_t length = 25);

}  // namespace detent::consumers
