// The values of QUEUE.md's fields as people write them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace detent {

/// "2026-02-19T10:00:00Z", "2026-02-19 10:00", "2026-02-19", also with an offset ("+01:00"); UTC where there is none.
/// Nothing where it is no such moment.
std::optional<Millis> parse_moment(std::string_view text);
/// "2h", "90s", "1500ms": the largest unit that leaves a whole number; what parse_duration reads back.
std::string duration_text(Millis span);
/// What stands between commas and blanks.
std::vector<std::string_view> words_of(std::string_view text);

}  // namespace detent
