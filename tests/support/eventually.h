// Waiting for what another thread or process does, with an end.
#pragma once

#include <functional>

#include "base/clock.h"

namespace detent {

/// Looks again and again until `condition` holds; false after `patience`.
bool eventually(const std::function<bool()>& condition, Millis patience = Millis{30'000});

}  // namespace detent
