// What names a task in the files of the branch `detent/tasks`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ulid.h"

namespace detent {

/// The id that `word` is: a ULID (returned in capitals), or one made by hand such as "t-20260219-k3f9": a short
/// lower-case word, eight digits of a date, four to eight letters or digits. Nothing where it is neither. An id is safe
/// as a file's name.
std::optional<std::string> task_id(std::string_view word);

/// The ULID by which the dispatcher knows the task of this id: itself, or for one made by hand always the same.
Ulid ulid_of(std::string_view id);

}  // namespace detent
