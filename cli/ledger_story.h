// A signal's story from the ledger, for when the journal does not hold it (any more).
#pragma once

#include <boost/json/fwd.hpp>
#include <vector>

#include "ledger/audit/audit_reader.h"

namespace detent {

/// The story in the form of the broker's answer to "trace", as far as the ledger has it: admitted and settled, not what
/// was tried in between. `lines`: of one signal, the one that admits it first (AuditReader::show).
boost::json::object ledger_story(const std::vector<LedgerPlace>& lines);

}  // namespace detent
