// Text as the ledger writes it: times, and single lines that cannot be mistaken for anything
// else.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace detent {

/// Appends "2026-11-22T14:02:07.123Z" with its quotes.
void append_json_time(std::string& out, Millis wall);
/// `text` as one line of at most `most` code points: control, line-breaking and direction-changing characters become
/// spaces, spaces are not repeated, and what is cut ends in "…".
std::string one_line(std::string_view text, std::size_t most);

}  // namespace detent
