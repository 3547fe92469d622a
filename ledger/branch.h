// The ledger's branch as its one writer sees it: where our chain ends, where the ref stands, and whether these agree.
//
// Beside the branch stands a witness, `refs/detent/<branch>`, which follows our own commits: by it a branch that
// somebody moved back, replaced or deleted is recognised, also after a restart, and the commits it no longer holds stay
// in the repository.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/alarms.h"
#include "ledger/message.h"
#include "ledger/repository.h"

namespace detent {

/// Whether this commit is one of ours by its committer and its trailers, and what it says.
std::optional<CommitNote> own_note(const Commit& commit);

class Branch {
 public:
  using Alarm = Alarms::Sink;

  /// Finds the end of our chain on `name` ("detent/ledger"), by the witness or the branch where the other cannot be
  /// read. EBADMSG where it can be found by neither.
  static Result<Branch> find(Repository& repository, const std::string& name, const Alarm& alarm);

  const ChainState& state() const { return state_; }
  const std::optional<Oid>& ours() const { return ours_; }

  /// Compares the ref with what we wrote last. Afterwards `parent()` and `tree()` are what a commit is built on. An
  /// error means that the branch does not hold our chain any more, and that nothing may be written to it; EBADMSG that
  /// it or the witness cannot be read.
  Result<> reconcile(const Alarm& alarm);
  /// Takes away what of the two refs cannot be read, or names a commit that cannot: the chain goes on from the last
  /// commit, which is known here. True: there was such a ref.
  Result<bool> mend(const Alarm& alarm);
  const std::optional<Oid>& parent() const { return parent_; }
  const std::optional<Oid>& tree() const { return tree_; }

  enum class Advance { done, lost, locked };
  /// Moves the branch on to `commit`, made on `parent()`, where it still stands where `reconcile` saw it.
  Result<Advance> advance(const Oid& commit, const Oid& tree, ChainState state);

 private:
  Branch(Repository& repository, std::string name);
  Result<> adopt(const Commit& commit, const CommitNote& note);
  Result<> drop(const std::string& ref, const Error& why, const std::string& goes_on, const Alarm& alarm);
  Result<bool> holds_our_signals(const Oid& tree) const;
  std::string command(const std::string& rest) const;

  Repository* repository_;
  std::string ref_;
  std::string witness_;
  ChainState state_;
  std::optional<Oid> ours_;       // our last commit …
  std::optional<Oid> ours_tree_;  // … and its tree
  std::optional<Oid> seen_;       // where the ref stood at the last look
  std::optional<Oid> parent_;
  std::optional<Oid> tree_;
  std::string told_;  // about this place of the ref the alarm was raised
};

}  // namespace detent
