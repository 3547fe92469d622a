// Makes the log's commits, one at a time, and decides what is done where one cannot be made: damage is mended, anything
// else is tried again later. No record is passed over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/audit/alarms.h"
#include "ledger/audit/audit_branch.h"
#include "ledger/audit/audit_log.h"
#include "ledger/audit/commit_draft.h"
#include "ledger/repository/ref_lock.h"
#include "ledger/repository/repository.h"

namespace detent {

class Committer {
 public:
  /// All of them outlive this.
  Committer(const AuditLog::Options& options, Repository& repository, AuditBranch& branch, LedgerAlarms& alarms,
            Now now);

  /// STATUS.md as it should read; goes with the next commit where it differs from what is there.
  void status(std::string markdown) { status_ = std::move(markdown); }

  /// Commits the records at `places`; `held` as in `batch_of`. An error says why not, and is an alarm until a commit
  /// succeeds.
  Result<> commit(const PendingRecords& records, const std::vector<std::uint64_t>& places,
                  const std::map<std::uint64_t, std::uint64_t>& held, Now now);
  /// Not before this, after a failure.
  Millis retry_at() const { return retry_at_; }

 private:
  Result<AuditBranch::Advance> attempt(CommitDraft batch);
  Result<> attempt_all(const PendingRecords& records, const std::vector<std::uint64_t>& places,
                       const std::map<std::uint64_t, std::uint64_t>& held, Now now);
  Result<std::string> free_path(const std::string& stem);
  Result<bool> status_differs(const std::optional<Oid>& tree);
  bool mend(Now now);

  const AuditLog::Options& options_;
  Repository& repository_;
  AuditBranch& branch_;
  LedgerAlarms& alarms_;
  std::string status_;
  std::optional<Oid> status_tree_;  // the tree of which `status_there_` is known
  std::string status_there_;
  Millis retry_at_{Millis::min()};
  int failures_ = 0;      // in a row
  bool reopens_ = false;  // libgit2 may remember what it could not read
  RefLock lock_;
};

/// Mends what git needs to work in the repository at all, and says so. True: something was amiss.
bool mend_and_say(const AuditLog::Options& options, LedgerAlarms& alarms, Now now);

}  // namespace detent
