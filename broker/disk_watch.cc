#include "broker/disk_watch.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include "broker/core.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr Millis kRecovered{60'000};  // no write has failed for so long: its alarm is cleared
}  // namespace

void DiskWatch::took_space(const Space& space, Now now) {
  space_ = space;
  pause_publishers();
  if (space_.low) {
    core_.alarms().raise("disk-low", fmt::format("the broker's disk is low: {} MiB free", space_.free >> 20),
                         "Publishers are refused until there is room again; what was taken in is safe.", now);
  } else {
    core_.alarms().clear("disk-low", "the broker's disk has room", now);
  }
  // Also where nothing is written any more: the last write succeeded.
  if (!fails_ && now.mono - write_failed_ >= kRecovered)
    core_.alarms().clear("journal-write", "the journal can be written", now);
}

std::string DiskWatch::unready() const {
  if (space_.low) return "disk low";
  return fails_ ? "the journal cannot be written" : "";
}

void DiskWatch::took_lag(uint64_t lag) {
  lag_ = lag;
  pause_publishers();
}

void DiskWatch::pause_publishers() {
  int reason = 0;
  paused_.clear();
  if (space_.low) {
    reason = DISK_LOW;
    paused_ = fmt::format("the broker's disk is low ({} MiB free): keep the signal and try again", space_.free >> 20);
  } else if (lag_ > max_lag_) {
    reason = LEDGER_BEHIND;
    paused_ = fmt::format("the ledger is {} MiB behind: keep the signal and try again", lag_ >> 20);
  }
  core_.admission().pause_publishers(reason, paused_);
}

void DiskWatch::cannot_write(const Error& error, Now now) {
  core_.alarms().raise("journal-write", "the journal cannot be written: " + error.what,
                       "Nothing is acknowledged until it can be. Look at the disk's room, at the rights of its files, "
                       "and at the limit of "
                       "open files.",
                       now);
  fails_ = true;
  write_failed_ = now.mono;
}

void DiskWatch::wrote(const Appended& appended, Now now) {
  fails_ = false;
  if (appended.after_failure) {
    spdlog::error("a write to the journal failed and was made good in a fresh segment: {}", appended.failure);
    core_.alarms().raise("journal-write", "the journal's disk refused a write: " + appended.failure,
                         "It was made good in a fresh segment and nothing was lost. Look at the disk.", now);
    write_failed_ = now.mono;
  }
}

}  // namespace detent
