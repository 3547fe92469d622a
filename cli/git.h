// Asking git, for commands that look into a work tree.
#pragma once

#include <string>
#include <vector>

namespace detent {

/// What `git -C folder ARGUMENTS…` prints, without its last newline. Throws Failure with what git said where it fails.
std::string git(const std::string& folder, const std::vector<std::string>& arguments);

}  // namespace detent
