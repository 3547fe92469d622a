// What keeps the log's repository in order beside the commits: pushing and packing, both children that are polled.
#pragma once

#include <optional>

#include "base/clock.h"
#include "ledger/audit/alarms.h"
#include "ledger/audit/audit_log.h"
#include "ledger/repository/packer.h"
#include "ledger/repository/pusher.h"
#include "ledger/repository/repository.h"

namespace detent {

class Upkeep {
 public:
  /// All of them outlive this.
  Upkeep(const AuditLog::Options& options, Repository& repository, LedgerAlarms& alarms);

  /// There is something to push.
  void wants_push();
  void committed();
  void turn(Now now);
  /// How long until `turn` has something to do; empty: nothing.
  std::optional<Millis> wait(Millis mono) const;
  const std::optional<Pusher>& pusher() const { return pusher_; }

 private:
  void pushed(const PushResult& result, Now now);
  void packed(const Packer::Outcome& outcome, Now now);

  const AuditLog::Options& options_;
  Repository& repository_;
  LedgerAlarms& alarms_;
  std::optional<Pusher> pusher_;
  Packer packer_;
};

}  // namespace detent
