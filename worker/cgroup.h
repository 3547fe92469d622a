// Control groups of version 2: a leaf for each attempt, where this system lets us make one.
//
// Three cases are met: a hierarchy with its controllers (limits hold for the attempt as a whole), one without (version
// 1 has them: a leaf still ends all that is in it at once), and none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace detent {

struct Limits {
  uint64_t memory = 0;  // bytes; 0: none, as with the others
  uint32_t pids = 0;    // processes and threads
  double cpu = 0;       // cores
  uint64_t disk = 0;    // bytes
  bool operator==(const Limits&) const = default;
};

/// Where leaves are made, and what they can do.
struct Cgroups {
  std::filesystem::path parent;  // empty: none can be made
  bool memory = false, pids = false, cpu = false;
  bool kill = false;    // cgroup.kill: Linux 5.14
  std::string because;  // why there is none, or why it has not all controllers; one clause

  /// Looks, tries, and where it has to, moves this process into a leaf of its own ("detent-worker"), since a group that
  /// hands controllers on may have no process itself. Once, at start; blocks for some milliseconds.
  static Cgroups probe();
  static Cgroups none(std::string because) { return {.because = std::move(because)}; }

  /// A leaf with what it can hold of `limits`. An earlier one of this name must be gone.
  Result<std::filesystem::path> make(const std::string& name, const Limits& limits) const;
};

/// The folder of a process in the hierarchy of version 2, from what /proc/PID/mountinfo and /proc/PID/cgroup say;
/// nothing where it is not mounted or lies outside of what is.
std::optional<std::filesystem::path> cgroup_folder(std::string_view mountinfo, std::string_view cgroup);

/// The calling process goes into the leaf. 0, or an errno. Async-signal-safe but for what `std::string` does.
int join_cgroup(const std::filesystem::path& leaf);
/// All in it are killed at once, where the kernel has cgroup.kill; the processes in it at this moment.
void kill_cgroup(const std::filesystem::path& leaf);
std::vector<pid_t> processes_in(const std::filesystem::path& leaf);
/// Removes it and what was made below it; false while something still runs in it.
bool remove_cgroup(const std::filesystem::path& leaf);

/// What a leaf says of its life; nothing where it has no such controller.
std::optional<uint64_t> peak_memory(const std::filesystem::path& leaf);  // bytes; Linux 5.19
std::optional<uint64_t> cpu_used(const std::filesystem::path& leaf);     // microseconds
/// How often the kernel killed something in it because of memory.max.
uint64_t oom_kills(const std::filesystem::path& leaf);

}  // namespace detent
