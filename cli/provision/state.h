// What is remembered here of a worker that was made: kept in `state`/workers, so that a run that was cut off goes on
// where it was, and none makes a second droplet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace detent::provision {

struct Memory {
  std::int64_t droplet = 0;  // 0: none known
  std::int64_t action = 0;   // that makes it
  Millis asked{0};           // wall: when one was asked for; 0: never
};

/// The files of one worker. One process at a time has them: the constructor takes a lock, and throws Failure where
/// another has it or they cannot be had.
class WorkerFiles {
 public:
  WorkerFiles(const std::filesystem::path& state, const std::string& name);
  ~WorkerFiles();
  WorkerFiles(const WorkerFiles&) = delete;
  WorkerFiles& operator=(const WorkerFiles&) = delete;

  /// Throws Failure where the file is damaged.
  Memory read() const;
  /// On disk when it returns. Throws Failure.
  void write(const Memory& memory) const;
  void forget() const;

  std::filesystem::path known_hosts() const { return folder_ / "known_hosts"; }

 private:
  std::filesystem::path file() const;

  std::filesystem::path folder_;
  std::string name_;
  int lock_ = -1;
};

/// "droplet-5": the name under which a droplet's host key is kept.
std::string host_alias(std::int64_t droplet);

}  // namespace detent::provision
