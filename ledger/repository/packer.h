// Packs loose objects from time to time, by a `git repack` of bounded memory that is polled.
//
// It starts, and goes on, only while the disk has room: it writes before it deletes. The writer goes on beside it. A
// lock that the child inherits keeps a second one away, also from a process that was killed and has left its child
// behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/child.h"
#include "base/clock.h"

namespace detent {

class Packer {
 public:
  struct Options {
    std::filesystem::path repository;
    std::size_t max_loose = 2'000;
    std::size_t max_packs = 50;
    std::size_t look_after = 100;  // commits before counting again
    Millis retry{300'000};         // after a failure
    Millis deadline{1'800'000};
    std::string window_memory = "64m";
    std::uint64_t low_water = 0;  // bytes: see room.h
  };

  struct Outcome {
    bool packed = false;
    std::string reason;  // where it failed
  };

  explicit Packer(Options options) : options_{std::move(options)} {}
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  void committed() { ++commits_; }
  /// Counts, packs where that is due, polls. What became of a run, once; after a success the repository is to be
  /// reopened.
  std::optional<Outcome> turn(Millis mono);
  std::optional<Millis> wait() const;
  bool busy() const { return child_.has_value(); }

  struct Count {
    std::size_t loose = 0;
    std::size_t packs = 0;
  };
  static Count count(const std::filesystem::path& repository);

 private:
  bool lock();
  void sweep();
  void remove_unfinished();
  Outcome give_up(std::string reason, Millis mono);

  Options options_;
  std::size_t commits_ = 0;
  bool looked_ = false;
  Millis not_before_{Millis::min()};
  std::optional<Child> child_;
  int lock_ = -1;
};

}  // namespace detent
