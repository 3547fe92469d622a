// A folder that somebody else fills: how much is in it, and away with it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace detent {

/// Bytes on the disk of all below `folder`, on its file system; what vanishes or cannot be read meanwhile is left out.
/// Follows no link. Takes as long as there are files.
uint64_t size_on_disk(const std::filesystem::path& folder);

/// Removes it with all that is in it, also where its owner took away the rights to do so. One that is not there is
/// good.
Result<> remove_folder(const std::filesystem::path& folder);

}  // namespace detent
