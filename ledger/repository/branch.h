// A branch with one writer, as that writer sees it: its own last commit, where the ref stands, and whether these agree.
//
// Beside the branch stands a witness, `refs/detent/<branch>`, which follows our own commits: by it a branch that
// somebody moved back, replaced or deleted is recognised, also after a restart, and the commits it no longer holds stay
// in the repository.
//
// Nothing here touches any other ref.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/repository/repository.h"

namespace detent {

class Branch {
 public:
  /// `name`: "detent/ledger". The repository outlives this.
  Branch(Repository& repository, const std::string& name);

  const std::string& ref() const { return ref_; }
  const std::string& witness() const { return witness_; }

  /// What a ref names; neither where there is no such ref.
  struct Named {
    std::optional<Commit> commit;
    std::optional<Error> damage;  // of the ref, or of its commit
  };
  Result<Named> read(const std::string& ref) const;
  /// Takes a damaged ref away. What it names stays in reach as "refs/detent/damaged/<branch>/<time>", where the
  /// commit itself can be read; that name is the answer, or nothing.
  Result<std::optional<std::string>> set_aside(const std::string& ref, Millis wall);
  /// Keeps `commit` in reach under such a name.
  Result<std::string> keep_damaged(const Oid& commit, Millis wall);

  /// Our last commit; what comes next is built on it.
  void adopt(const Oid& commit, const Oid& tree);
  const std::optional<Oid>& ours() const { return ours_; }
  const std::optional<Oid>& ours_tree() const { return ours_tree_; }
  /// Lets the witness stand at our last commit, where it does not.
  Result<> set_witness();

  enum class Standing { in_place, gone, moved_back, above, diverged };
  /// Looks where the ref stands. A commit is built on ours then, or, after `build_on`, on what stands above it.
  Result<Standing> look();
  const std::optional<Oid>& seen() const { return seen_; }
  void build_on(const Commit& above);
  const std::optional<Oid>& parent() const { return parent_; }
  const std::optional<Oid>& tree() const { return tree_; }

  enum class Advance { done, lost, locked };
  /// Moves the branch on to `commit`, made on `parent()`, where it still stands where `look` saw it.
  Result<Advance> advance(const Oid& commit, const Oid& tree);

 private:
  Repository* repository_;
  std::string ref_;
  std::string witness_;
  std::string damaged_;
  std::optional<Oid> ours_;       // our last commit …
  std::optional<Oid> ours_tree_;  // … and its tree
  std::optional<Oid> seen_;       // where the ref stood at the last look
  std::optional<Oid> parent_;
  std::optional<Oid> tree_;
};

}  // namespace detent
