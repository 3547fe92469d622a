// Which ends of tasks nobody has read yet.
#pragma once

#include <vector>

#include "dispatch/queue.h"

namespace detent {

/// Tasks that are over and unread, the first that ended first. Only those whose end is durable.
std::vector<const Task*> unread(const Queue& queue);

}  // namespace detent
