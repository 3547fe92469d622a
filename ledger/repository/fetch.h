// What a remote holds of a branch, brought among a repository's objects whatever state that is in.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/repository/git_command.h"

namespace detent {

/// Fetches all objects of `branch` and adds them as a pack; loose objects that are damaged are moved to
/// "detent-damaged-objects", where they hide none of those. No ref is touched. By a repository of its own, since git
/// fetches nothing into one with a broken ref or object. Waits for it, up to `deadline`.
Result<> fetch_objects(const std::filesystem::path& repository, const Remote& remote, const std::string& branch,
                       Millis deadline);

}  // namespace detent
