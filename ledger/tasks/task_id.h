// What names a task in the files of the branch `detent/tasks`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace detent {

/// The id that `word` is: a ULID (returned in capitals), or one made by hand such as "t-20260219-k3f9": a short
/// lower-case word, eight digits of a date, four to eight letters or digits. Nothing where it is neither. An id is safe
/// as a file's name.
std::optional<std::string> task_id(std::string_view word);

}  // namespace detent
