// What the core counts since its start.
#pragma once

#include <cstdint>

namespace detent {

struct CoreCounters {
  uint64_t admitted = 0, repeats = 0, refused = 0, held = 0, malformed = 0, not_allowed = 0, too_large = 0,
           delivered = 0, unknown = 0, expired = 0, dead = 0, redelivered = 0, stale = 0, unrouted = 0, unproven = 0,
           gaps = 0, alarms = 0, dropped = 0, sessions_refused = 0;
};

}  // namespace detent
