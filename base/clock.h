// Time as a value: read once a turn, passed down, so that a simulator can say what time it is.
#pragma once

#include <chrono>
#include <string>

namespace detent {

using Millis = std::chrono::milliseconds;

/// Both clocks at one instant. `mono` orders and measures (leases, back-off) and starts anywhere; `wall` is the time
/// since the Unix epoch, for display and for `expires`, and may jump.
struct Now {
  Millis mono{0};
  Millis wall{0};
};

/// The system's clocks as they stand.
Now system_now();

/// "2026-11-22T14:02:07Z", of a wall time.
std::string utc(Millis wall);
/// "2026-11-22T14:02:07.123Z".
std::string utc_millis(Millis wall);
/// "45 s", "12 min", "6 h", "3 d": the largest whole unit, for people.
std::string roughly(Millis span);

}  // namespace detent
