// What a snapshot told of tasks whose records are still to come.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/ulid.h"
#include "dispatch/core.h"

namespace detent {

struct Dispatch::Past {
  std::map<Ulid, std::string> tasks;  // each an encoded TaskState
  std::set<Ulid> unblocked;           // tasks that wait for no other any more
};

}  // namespace detent
