// What this machine offers to hold an attempt, looked at once at the worker's start: cgroups, bwrap, and what stands in
// where they cannot be used.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "worker/cgroup.h"
#include "worker/config.h"
#include "worker/guard.h"

namespace detent {

/// Where an attempt may write, and what it may look at, beside the system itself.
struct AttemptPlaces {
  std::filesystem::path folder;     // its own; removed afterwards
  std::filesystem::path workspace;  // or empty
  std::vector<std::filesystem::path> writable, readable;

  std::filesystem::path home() const { return folder / "home"; }
  std::filesystem::path temporary() const { return folder / "tmp"; }
  /// What is /tmp and /var/tmp under bwrap.
  std::filesystem::path system_temporary() const { return folder / "system-tmp"; }
  std::filesystem::path prompt() const { return folder / "prompt"; }
  /// The working folder of its command.
  std::filesystem::path start() const { return workspace.empty() ? home() : workspace; }
};

/// A value that does not change; any thread.
class Isolation {
 public:
  /// Tries what `config.isolation` asks for, makes the worker's folders, and keeps them for this process alone. Blocks,
  /// for a second at most where all is well. An error where what is asked for cannot be had, where the folder is
  /// another worker's, or where the guard is neither beside this program nor in PATH.
  static Result<Isolation> probe(const WorkerConfig& config);

  /// "isolation: bwrap, cgroup (memory, pids, cpu)", or what is weaker and why; one line.
  std::string summary() const;
  /// Whether something of it is weaker than it could be.
  bool weak() const { return bwrap_.empty() || !cgroups_.memory || !cgroups_.pids || !cgroups_.cpu; }

  /// The guard's order for a command. Makes the leaf of this name, where there are cgroups.
  Result<GuardOrder> order(const std::string& name, std::vector<std::string> command, const Limits& limits, Millis time,
                           const AttemptPlaces& places) const;

  const std::filesystem::path& guard() const { return guard_; }
  const Cgroups& cgroups() const { return cgroups_; }
  bool has_bwrap() const { return !bwrap_.empty(); }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path attempts() const { return folder_ / "attempts"; }
  /// A folder that lasts and is shared by all attempts: Node's compile cache.
  std::filesystem::path node_cache() const { return folder_ / "node-compile-cache"; }
  /// How leaves and processes of this worker's attempts are told from those of another one on this machine.
  const std::string& mark() const { return mark_; }

 private:
  std::vector<std::string> inside_bwrap(const AttemptPlaces& places) const;

  std::filesystem::path guard_, folder_;
  std::shared_ptr<DirectoryLock> lock_;
  std::string mark_;
  Cgroups cgroups_;
  std::filesystem::path bwrap_;  // empty: not used
  std::string no_bwrap_because_;
  std::vector<std::filesystem::path> hidden_;
};

/// "worker: 4 attempts at once of up to 1 GiB (runner openclaw) need 4 GiB, and this machine has 2 GiB: …" where the
/// worker's concurrency and its runners' limits do not fit the machine; nothing where they do.
std::optional<std::string> does_not_fit(const WorkerConfig& config, uint64_t memory_of_machine);
/// Bytes.
uint64_t memory_of_this_machine();

}  // namespace detent
