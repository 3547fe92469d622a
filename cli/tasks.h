// What commands have alike that look at a task.
#pragma once

#include <string>

#include "cli/command.h"

namespace detent {

/// Shows what the task prints while it runs, and how it ended; the invocation's exit is failed where it did not
/// succeed. A dispatcher that is away is waited for. Throws Failure where none answers at the beginning.
void wait_for_task(Invocation& invocation, const std::string& id);

}  // namespace detent
