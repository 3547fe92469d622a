// What carries the journal on into the ledger, as the broker sees it: LedgerWriter in production. It follows the
// journal by itself; only how far the journal is synced crosses to it, and how far it got comes back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "broker/alarms.h"
#include "journal/journal.h"

namespace detent {

class Follower {
 public:
  struct Alarm {
    std::string name;
    bool over = false;
    bool lasts = true;  // until it is over; else it happened at one moment
    std::string text;
    std::string remedy;
  };

  /// Commits what is journalled, within a bound of time, and ends.
  virtual ~Follower() = default;

  /// The journal is synced up to here, by `bytes` more than before.
  virtual void advance(const LogPosition& synced, uint64_t bytes) = 0;
  /// STATUS.md as it should read.
  virtual void status(std::string markdown) = 0;

  /// All records of segments before this one are in the ledger.
  virtual uint64_t complete_segment() const = 0;
  virtual uint64_t last_seq() const = 0;
  virtual uint64_t commits() const = 0;
};

/// `next_seq`: the number that the broker gives next. `standing`: alarms that were raised and are not over; those of
/// others are passed over. `alarm` is called on any thread.
using OpenFollower = std::function<Result<std::unique_ptr<Follower>>(
    const Journal& journal, uint64_t next_seq, const Alarms::Standing& standing,
    std::function<void(const Follower::Alarm&)> alarm)>;

}  // namespace detent
