// What commands have alike that look at a task.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

#include "cli/command.h"

namespace detent {

/// A title where none was given: the prompt's first line that says something, without Markdown's marks in front.
std::string title_of(std::string_view prompt);

/// "running on worker-1 for 12 min: reading the log", "failed after 3 s: exit code 2": of a task as the dispatcher
/// tells it.
std::string how_it_is(const boost::json::value& task);

/// Shows what the task prints while it runs, and how it ended; the invocation's exit is failed where it did not
/// succeed. A dispatcher that is away is waited for. Throws Failure where none answers at the beginning.
void wait_for_task(Invocation& invocation, const std::string& id);

}  // namespace detent
