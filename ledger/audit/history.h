// The ledger's history as a walk from the newest commit to the first.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "ledger/audit/message.h"
#include "ledger/repository/repository.h"

namespace detent {

/// Where the branch stands; an error where there is none.
Result<Oid> ledger_tip(const Repository& repository, const std::string& branch);

/// Calls `each` with every commit from `tip` back, and its note where it is ours, until it answers false. Of a merge
/// that somebody else made, follows the side that the log is on.
Result<> walk_ledger(const Repository& repository, const Oid& tip,
                     const std::function<Result<bool>(const Commit&, const std::optional<CommitNote>&)>& each);

}  // namespace detent
