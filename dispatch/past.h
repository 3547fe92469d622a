// What a snapshot told of tasks whose records are still to come.
#pragma once

#include <map>
#include <string>

#include "base/ulid.h"
#include "dispatch/core.h"

namespace detent {

struct Dispatch::Past {
  std::map<Ulid, std::string> tasks;  // each an encoded TaskState
};

}  // namespace detent
