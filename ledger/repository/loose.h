// Loose objects read by ourselves: libgit2 1.5.1 inflates one that was cut short for ever, and a damaged disk must end
// in a report and not in a process that hangs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace detent {

struct LooseObject {
  std::string type;  // "blob", "tree", "commit"
  std::string content;
};

/// The object in the file of that name under `repository`/objects; none where it is not loose. An error where the file
/// is not what git would have written; its hash is not looked at.
Result<std::optional<LooseObject>> read_loose(const std::filesystem::path& repository, const std::string& hex);

}  // namespace detent
