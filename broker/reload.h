// Another config while the broker runs.
#pragma once

#include <string>

#include "base/result.h"
#include "config/config.h"

namespace detent {

class Core;

/// Takes up in `current` and in the core what can be taken up of `fresh` at once. The verdict per section, as JSON; an
/// error where it names what is not there, and then all stays as it was.
Result<std::string> reload(Config& current, const Config& fresh, Core& core);

}  // namespace detent
