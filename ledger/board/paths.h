// Where the files of `detent/tasks` lie.
#pragma once

namespace detent {

inline constexpr const char* kQueuePath = "worker/QUEUE.md";
inline constexpr const char* kHeartbeatPath = "worker/HEARTBEAT.md";

}  // namespace detent
