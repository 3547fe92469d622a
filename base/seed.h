// Where chance comes from: the system, in production. What a simulation runs takes its seed as a value, so that the
// same seed gives the same bytes.
#pragma once

#include <cstdint>

namespace detent {

/// Of the system's entropy: no two are alike, and nobody can guess one.
uint64_t random_seed();

}  // namespace detent
