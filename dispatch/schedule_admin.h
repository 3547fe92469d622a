// What the command line asks of schedules; docs/task-protocol.md lists the commands. The loop alone.
#pragma once

#include "dispatch/admin.h"
#include "dispatch/recurring.h"

namespace detent {

/// Has `admin` answer schedule.list, schedule.next and schedule.run.
void add_schedule_commands(TaskAdmin& admin, Recurring& recurring);

}  // namespace detent
