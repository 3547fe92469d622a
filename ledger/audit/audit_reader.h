// Reads the audit log back: its commits, what became of a signal, and the proof that all of it is whole.
//
// For any process, also while the log is being written. Memory is bounded by one file of the log (8 MiB).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/audit/chain.h"

namespace detent {

/// One commit on the ledger's branch.
struct LedgerCommit {
  std::string id;  // hex
  std::string subject;
  std::string author;  // e-mail address
  Millis time{0};
  bool foreign = false;                 // not one of Detent's; what follows is empty then
  std::vector<std::string> signal_ids;  // where they are few
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  std::string file;
};

/// One line of the log, and where it stands.
struct LedgerPlace {
  std::string commit;  // hex
  std::string file;
  std::size_t line = 0;  // counted from 1
  bool receipt = false;
  std::string text;  // JSON
  std::string raw;   // a signal's journalled bytes
};

struct VerifyOptions {
  /// The hash of a signal's journalled bytes, where the journal still holds it. Empty: there is no journal to compare
  /// with.
  std::function<std::optional<Hash>(std::uint64_t seq)> journal;
  /// The ledger must hold all signals from the first to the last of these numbers; zero: unknown.
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  std::string remote;  // a git URL; empty: not asked
  std::string ssh_command;
  Millis remote_deadline{30'000};
};

struct VerifyReport {
  enum class Remote { not_asked, equal, behind, missing, diverged, unreachable };

  std::uint64_t commits = 0;
  std::uint64_t lines = 0;
  std::uint64_t signals = 0;
  std::uint64_t receipts = 0;
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  std::uint64_t compared = 0;  // signals the journal still holds, equal or not
  std::uint64_t waiting = 0;   // signals that the log has put off, to be committed together
  std::string tip;
  std::string hash;  // of the last line: whoever noted it elsewhere can compare

  /// What is wrong, oldest first: where ("signals/…/42.jsonl line 3 (seq 44)") and what. The first thousand.
  std::vector<std::string> problems;
  std::uint64_t problem_count = 0;
  std::vector<std::string> foreign;  // commits by others that left the chain as it was; the first thousand

  Remote remote = Remote::not_asked;
  std::uint64_t remote_behind = 0;  // commits
  std::string remote_reason;

  bool whole() const { return problem_count == 0 && remote != Remote::diverged && remote != Remote::missing; }
};

class AuditReader {
 public:
  static Result<AuditReader> open(const std::filesystem::path& repository, const std::string& branch = "detent/ledger");
  AuditReader(AuditReader&&) noexcept;
  AuditReader& operator=(AuditReader&&) noexcept;
  ~AuditReader();

  /// Calls `each` with the commits, newest first, until it answers false.
  Result<> commits(const std::function<bool(const LedgerCommit&)>& each) const;

  /// The line of a signal and those of its receipts, in the order in which they were written; empty: not in the log.
  Result<std::vector<LedgerPlace>> show(std::uint64_t seq) const;
  Result<std::vector<LedgerPlace>> show(std::string_view id) const;

  /// Fails only where the repository cannot be read at all; what is wrong with the log is in the report.
  Result<VerifyReport> verify(const VerifyOptions& options) const;

 private:
  struct Parts;
  explicit AuditReader(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace detent
