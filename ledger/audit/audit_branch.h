// The branch of the audit log: where its chain ends, and what is said and done where somebody, or the disk, changed it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/audit/alarms.h"
#include "ledger/audit/message.h"
#include "ledger/repository/branch.h"
#include "ledger/repository/repository.h"

namespace detent {

/// Whether this commit is one of ours by its committer and its trailers, and what it says.
std::optional<CommitNote> own_note(const Commit& commit);

class AuditBranch {
 public:
  using Alarm = LedgerAlarms::Sink;
  using Advance = Branch::Advance;

  /// What may be done where the end of the chain can be found by neither ref.
  struct Recovery {
    bool allowed = false;             // else the damage is the error
    std::uint64_t journal_end = 0;    // a commit that says it holds places above is of another journal; 0: unknown
    std::function<Result<>()> fetch;  // brings what a remote holds among the objects; empty: there is none
    Millis wall{0};
  };

  /// Finds the end of our chain on `name` ("detent/ledger"), by the witness or the branch where the other cannot be
  /// read; where neither can, by the newest whole commit of ours among the objects, the remote's included; and where
  /// there is none, sets aside what can be read of the branch, and begins anew. Other refs are left as they are.
  static Result<AuditBranch> find(Repository& repository, const std::string& name, const Recovery& recovery,
                                  const Alarm& alarm);

  const ChainState& state() const { return state_; }
  /// Another journal is followed from here on: nothing of it is in the ledger yet.
  void begin_journal() {
    state_.place = 0;
    state_.held.clear();
  }
  const std::optional<Oid>& ours() const { return branch_.ours(); }

  /// Compares the ref with what we wrote last. Afterwards `parent()` and `tree()` are what a commit is built on. An
  /// error means that the branch does not hold our chain any more, and that nothing may be written to it; EBADMSG that
  /// it or the witness cannot be read.
  Result<> reconcile(const Alarm& alarm);
  /// Sets aside what of the two refs is damaged, or names a commit that is: the chain goes on from the last commit,
  /// which is known here. True: there was such a ref.
  Result<bool> mend(const Alarm& alarm, Millis wall);
  const std::optional<Oid>& parent() const { return branch_.parent(); }
  const std::optional<Oid>& tree() const { return branch_.tree(); }

  /// Moves the branch on to `commit`, made on `parent()`, where it still stands where `reconcile` saw it.
  Result<Advance> advance(const Oid& commit, const Oid& tree, ChainState state);

 private:
  AuditBranch(Repository& repository, const std::string& name) : repository_{&repository}, branch_{repository, name} {}
  Result<> adopt(const Commit& commit, const CommitNote& note);
  Result<> adopt_by(const Branch::Named& tip, const Branch::Named& witness, std::optional<Error>& damage);
  Result<> recover(const Error& damage, const Recovery& recovery, const Alarm& alarm);
  Result<bool> adopt_newest(const Recovery& recovery, std::optional<Oid>& newest);
  Result<> drop(const std::string& ref, const Error& why, const std::string& goes_on, Millis wall, const Alarm& alarm);
  Result<bool> holds_our_signals(const Oid& tree) const;
  std::string command(const std::string& rest) const;

  Repository* repository_;
  Branch branch_;
  ChainState state_;
  std::string told_;  // about this place of the ref the alarm was raised
};

}  // namespace detent
