// Text as the ledger writes it: JSON strings, base64, times, and single lines that cannot be mistaken for anything
// else.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace detent {

/// Appends `text` as a JSON string with its quotes. What is not UTF-8 becomes U+FFFD: the exact bytes are elsewhere.
void append_json_string(std::string& out, std::string_view text);
/// Appends "2026-11-22T14:02:07.123Z" with its quotes.
void append_json_time(std::string& out, Millis wall);
void append_base64(std::string& out, std::string_view bytes);
/// The bytes, where `text` is base64 as `append_base64` writes it and in no other form.
std::optional<std::string> from_base64(std::string_view text);

/// `text` as one line of at most `most` code points: control, line-breaking and direction-changing characters become
/// spaces, spaces are not repeated, and what is cut ends in "…".
std::string one_line(std::string_view text, std::size_t most);

}  // namespace detent
