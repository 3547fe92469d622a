// The signals by which the dispatcher says how a task ended.
#pragma once

#include <string>
#include <string_view>

#include "dispatch/task.h"
#include "proto/signal_builder.h"

namespace detent {

class TaskRecord;

/// "succeeded", "failed", …: of an AttemptState of task.proto.
std::string_view state_name(int state);
/// "queued", "running", or how it ended.
std::string_view state_of(const Task& task);
/// The encoded signal that asks for the task, of a record that holds it.
const std::string& signal_of(const TaskRecord& record);

/// `subagent.completed` or `subagent.failed`, with the result. The same task, ended in the same way, gives the same
/// signal with the same id, so that saying it again after a crash shows nothing twice.
Result<Built> end_signal(const Task& task, std::string_view result, SignalBuilder& builder);

}  // namespace detent
