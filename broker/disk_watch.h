// What the disk says, as publishers and the operator are told of it: whether publishers are refused, and the alarms
// `disk-low` and `journal-write`. On the loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "journal/journal.h"

namespace detent {

class Core;

class DiskWatch {
 public:
  /// `max_lag`: bytes that the ledger may be behind the journal before publishers are refused.
  DiskWatch(Core& core, uint64_t max_lag) : core_(core), max_lag_(max_lag) {}

  void took_space(const Space& space, Now now);
  void took_lag(uint64_t lag);
  void cannot_write(const Error& error, Now now);
  void wrote(const Appended& appended, Now now);

  const Space& space() const { return space_; }
  /// Why the journal takes nothing in; empty: it does.
  std::string unready() const;
  /// Why publishers are refused; empty: they are not.
  const std::string& paused() const { return paused_; }

 private:
  void pause_publishers();

  Core& core_;
  const uint64_t max_lag_;
  Space space_;
  uint64_t lag_ = 0;
  std::string paused_;
  bool fails_ = false;      // the last write did
  Millis write_failed_{0};  // monotonic: the last that did
};

}  // namespace detent
