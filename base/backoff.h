// How long to wait before trying again.
#pragma once

#include <algorithm>
#include <random>

#include "base/clock.h"

namespace detent {

/// Doubling waits with full jitter below half: attempt 1 waits about `first`, no attempt more than `most`.
struct Backoff {
  Millis first{500};
  Millis most{300'000};

  /// The wait after the `attempt`-th failure (from 1): between half of and the whole of first * 2^(attempt-1), capped.
  template <class Random>
  Millis after(uint32_t attempt, Random& random) const {
    const int doublings = static_cast<int>(std::min<uint32_t>(attempt > 0 ? attempt - 1 : 0, 30));
    const int64_t whole = std::min<int64_t>(first.count() << doublings, most.count());
    return Millis{std::uniform_int_distribution<int64_t>(whole / 2, std::max<int64_t>(whole, 1))(random)};
  }
};

}  // namespace detent
