// What became of tasks, written into QUEUE.md. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "ledger/tasks/queue_tasks.h"

namespace detent {

/// By their ids, so the older ones first.
using QueueTasks = std::map<std::string, QueueTask, std::less<>>;

/// Lets each task's section say its state and claim, and no other byte. One that has no section is added at the end,
/// unless it is over; or `most` sections are there already: these are the answer, and come with a later call.
QueueTasks update_queue(QueueFile& file, const QueueTasks& tasks, std::size_t most);

}  // namespace detent
