// The command of an attempt as its guard starts it: a session, a cgroup and limits of its own.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "worker/guard.h"

namespace detent {

/// Starts it as a child of the calling process, which has one thread and whose end is also the child's. Its number,
/// once it runs; the error's code is that of exec(2) where the program could not be run.
Result<pid_t> start_guarded(const GuardOrder& order);

}  // namespace detent
