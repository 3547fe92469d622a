// What one side changed in a folder and the other did not, file by file. The content of files is never merged.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/repository/repository.h"

namespace detent {

/// The files that `theirs` changed since `base` and `ours` did not: as they are to stand in `ours`. Where both changed
/// one, ours stands; so does that at the path `except`, and a folder where they have a file, or the other way round.
/// All are trees; none is an empty one.
Result<std::vector<Repository::Placed>> changes_of_theirs(const Repository& repository, const std::optional<Oid>& base,
                                                          const std::optional<Oid>& ours,
                                                          const std::optional<Oid>& theirs, const std::string& except);

}  // namespace detent
