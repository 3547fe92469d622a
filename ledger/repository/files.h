// Files of a repository's, made to last.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

/// Waits until a file or folder is on disk.
Result<> sync(const std::filesystem::path& path);

/// Replaces a file by one that is whole on disk.
Result<> replace(const std::filesystem::path& path, const std::string& text);

/// "20261122T120000Z".
std::string stamp(Millis wall);

/// Renames "x" to "x.damaged-20261122T120000Z", or one more where that is taken. Its new path.
Result<std::filesystem::path> move_aside(const std::filesystem::path& path, Millis wall);

}  // namespace detent
