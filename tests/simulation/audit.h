// The real audit log in a real repository, following the simulated journal as LedgerWriter does, by simulated time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "broker/ledger_feed.h"
#include "ledger/audit/audit_log.h"
#include "tests/simulation/books.h"
#include "tests/simulation/dice.h"

namespace detent::test {

class Audit {
 public:
  /// Outlives the broker's process; the folder goes with it.
  explicit Audit(std::filesystem::path folder);
  ~Audit();

  /// What went wrong, here and below; empty: nothing.
  std::string open(const Journal& journal, Now now);
  void close();
  /// Reads up to `most` records before `synced`, and commits what is due.
  std::string turn(const LogPosition& synced, size_t most, Now now);
  /// Commits all there is, and holds it against what the journal's records said.
  std::string check(const Books& books, const LogPosition& synced, Now now);

  uint64_t complete_segment() const { return log_->progress().complete_to >> 32; }

 private:
  std::string alarms();

  const std::filesystem::path folder_;
  std::unique_ptr<AuditLog> log_;
  std::optional<LedgerFeed> feed_;
  std::unique_ptr<JournalTail> tail_;
};

}  // namespace detent::test
