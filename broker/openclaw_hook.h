// OpenClaw's cron speaks HTTP in a form of its own: when a job has finished it posts what became of it, once. This
// makes a signal of that. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace detent {

/// The encoded signal for the body of a cron webhook of OpenClaw 2026.9: the finished run of a job, or the alert of one
/// that keeps failing. Its id is made from `jobId` and `runAtMs` and everything in it from what stays the same when
/// the post is repeated, so a repeat is the same signal. The job's prompt or command (`job.payload`) is not carried
/// over. The error says in one line which member is missing or wrong.
Result<std::string> signal_from_openclaw(std::string_view json);

}  // namespace detent
