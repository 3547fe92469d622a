// The config file read again while the broker runs.
#pragma once

#include <string>

#include "base/config.h"
#include "base/result.h"

namespace detent {

class Core;

/// Takes up in `current` and in the core what can be taken up at once. The verdict per section, as JSON; an error where
/// the file does not load, and then all stays as it was.
Result<std::string> reload(Config& current, Core& core);

}  // namespace detent
