// Mends the few files that git needs to work in a repository at all. All branches of a repository depend on them, so
// that what can be read of them is kept.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

/// Writes HEAD (on `branch`) and config anew where git cannot read them, makes the folders of objects and refs where
/// they are gone, and takes out of packed-refs the lines that git cannot read; a bad config, or bad packed-refs, are
/// kept beside. What was wrong, a line each. Only who holds the lock of the repository's ledger may do it.
Result<std::vector<std::string>> mend_files(const std::filesystem::path& repository, const std::string& branch,
                                            Millis wall);

}  // namespace detent
