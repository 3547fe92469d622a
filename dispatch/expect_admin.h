// What the command line asks of who is to be heard; docs/task-protocol.md lists the commands. The loop alone.
#pragma once

#include "dispatch/admin.h"
#include "dispatch/outages.h"

namespace detent {

/// Has `admin` answer expect.list and expect.forget.
void add_expect_commands(TaskAdmin& admin, Outages& outages);

}  // namespace detent
