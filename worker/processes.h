// The processes of this machine as /proc shows them, and how a whole tree of them is ended.
//
// Any thread. What /proc tells is old as soon as it is read: a process is known by its number and its start time
// together.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace detent {

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  char state = '?';
  uint32_t threads = 0;
  uint64_t started = 0;   // clock ticks since the boot
  uint64_t resident = 0;  // bytes

  bool alive() const { return state != 'Z' && state != 'X'; }
};

/// Nothing where there is none of this number.
std::optional<Process> process(pid_t pid);
/// All that are there, those that only wait to be reaped too.
std::vector<Process> all_processes();
/// Those of `all` that are alive and below `root`, which is not among them.
std::vector<Process> descendants_of(pid_t root, const std::vector<Process>& all);
/// Bytes of memory that are this process's part of what it shares; its resident size where that cannot be read.
uint64_t proportional_size(const Process& process);
/// What a variable was in the environment that it was started with.
std::optional<std::string> environment_value(pid_t pid, std::string_view name);
/// The boot that process numbers and start times belong to.
std::string boot_id();

/// Ends whatever `find` gives, again and again until it gives nothing or `patience` is over: first all are stopped, so
/// that none makes another meanwhile, then killed. `reap` is called in between, for those whose children they are.
/// Blocks until then. How many were killed, and how many are left.
struct Ended {
  size_t killed = 0;
  size_t left = 0;
};
Ended end_processes(const std::function<std::vector<Process>()>& find, Millis patience,
                    const std::function<void()>& reap = {});

}  // namespace detent
