#include "ledger/audit/history.h"

#include <spdlog/fmt/fmt.h>

#include "ledger/audit/audit_branch.h"

namespace detent {

Result<Oid> ledger_tip(const Repository& repository, const std::string& branch) {
  const auto tip = repository.ref("refs/heads/" + branch);
  if (!tip) return tip.error();
  if (!*tip)
    return Error{fmt::format("{} has no branch {}; nothing was committed yet", repository.path().string(), branch)};
  return **tip;
}

Result<> walk_ledger(const Repository& repository, const Oid& tip,
                     const std::function<Result<bool>(const Commit&, const std::optional<CommitNote>&)>& each) {
  for (Oid at = tip;;) {
    const auto commit = repository.commit(at);
    if (!commit) return commit.error();
    const auto more = each(*commit, own_note(*commit));
    if (!more) return more.error();
    if (!*more || commit->parents.empty()) return {};
    at = commit->parents.front();
    if (commit->parents.size() < 2) continue;
    const auto log = repository.find(commit->tree, "signals");
    if (!log) return log.error();
    for (const Oid& parent : commit->parents) {
      const auto side = repository.commit(parent);
      if (!side) return side.error();
      const auto there = repository.find(side->tree, "signals");
      if (!there) return there.error();
      if (*log && *there && (*log)->id == (*there)->id) {
        at = parent;
        break;
      }
    }
  }
}

}  // namespace detent
