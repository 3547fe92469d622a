// What is done about a damaged ledger repository, before it is opened or while it is. Only who holds its lock may do
// it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

/// Writes HEAD (on `branch`) and config anew where git cannot read them; a bad config is kept beside. What was wrong, a
/// line each.
Result<std::vector<std::string>> mend_files(const std::filesystem::path& repository, const std::string& branch,
                                            Millis wall);

/// Renames the repository to "….damaged-20261122T120000Z". Its new path.
Result<std::filesystem::path> set_aside(const std::filesystem::path& repository, Millis wall);

}  // namespace detent
