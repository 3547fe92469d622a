#include "ledger/config.h"

#include "config/section.h"

namespace detent {

void LedgerConfig::read(Section& file) {
  file.section("ledger", [&](Section& s) {
    s.path("repository", repository);
    s.text("remote", remote);
    s.number("pushes_per_minute", pushes_per_minute, 1, 600);
    s.duration("push_timeout", push_timeout);
    s.duration("receipts_within", receipts_within);
    s.texts("gather", gather);
    s.duration("gather_every", gather_every);
    s.size("max_lag", max_lag);
    s.text("author_name", author_name);
    s.text("author_email", author_email);
  });
}

void LedgerConfig::complete(const std::filesystem::path& state) {
  if (repository.empty()) repository = state / "ledger.git";
}

}  // namespace detent
