// The proof that the ledger is whole, by one walk over its commits.
#pragma once

#include <string>

#include "base/result.h"
#include "ledger/audit/audit_reader.h"
#include "ledger/repository/repository.h"

namespace detent {

Result<VerifyReport> verify_ledger(const Repository& repository, const std::string& branch,
                                   const VerifyOptions& options);

}  // namespace detent
