// What the worker and an attempt's guard say to each other.
//
// The guard (`detent-attempt`, worker/main_guard.cc) is a small process between the worker and an attempt. It starts
// the command in a session, a cgroup and under limits of its own, adopts whatever the command leaves behind, looks at
// what cannot be limited otherwise, and ends everything when the command has ended, when it is told to, or when the
// worker is gone, however that came. It reports on descriptor 3, a socket that keeps messages apart; the other end
// closed means that the worker is gone.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "worker/cgroup.h"

namespace detent {

inline constexpr int kGuardSocket = 3;
inline constexpr uint32_t kProcessesOfBwrap = 2;  // beside the command, in an attempt that runs under it

// What the worker sends, a byte each.
inline constexpr char kAskToEnd = 't';  // TERM to the command
inline constexpr char kEndNow = 'k';

/// What the guard is to do. Becomes its command line: there is no secret in it.
struct GuardOrder {
  std::vector<std::string> command;
  std::filesystem::path cgroup;     // a leaf, or empty
  Limits rlimits;                   // what the leaf does not hold
  Millis time{0};                   // with rlimits.cpu: as long as it may run, so that CPU time is bounded as a whole
  bool in_bwrap = false;            // the command is bwrap: TERM is for what runs inside
  std::filesystem::path folder;     // the attempt's: counts for the disk limit, and is removed at the end
  std::filesystem::path workspace;  // what it grows by counts too; empty: none

  std::vector<std::string> command_line(const std::filesystem::path& guard) const;
  static Result<GuardOrder> parse(int count, const char* const* arguments);
  bool operator==(const GuardOrder&) const = default;
};

struct GuardReport {
  enum class Kind { started, failed, ended };
  enum class Reason { none, memory, pids, disk };

  Kind kind = Kind::ended;
  pid_t pid = 0;  // started: the command's
  int error = 0;  // failed: an errno, and what could not be done
  std::string what;
  int code = 0;              // ended: as a shell gives it
  int signal = 0;            // … that signal, or 0
  uint64_t peak_memory = 0;  // … bytes, 0: not known
  uint64_t cpu_ms = 0;
  uint64_t leftovers = 0;        // … processes that it left behind and that were ended
  uint64_t immortal = 0;         // … and those that could not be
  Reason reason = Reason::none;  // … the limit for which the guard ended it

  std::string line() const;
  static std::optional<GuardReport> parse(std::string_view line);
  bool operator==(const GuardReport&) const = default;
};

}  // namespace detent
