// What there is to say of the broker at one moment, for those who show it: status, metrics, STATUS.md.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "journal/journal.h"

namespace detent {

class Core;

struct Vitals {
  const Core& core;
  Now now, started;
  std::string config;   // the file's path
  std::string paused;   // why publishers are refused; empty: they are not
  uint64_t masked = 0;  // texts in which a secret was
  uint64_t segments = 0, journal_bytes = 0, syncs = 0;
  Space space;
  std::string repository;  // of the ledger
  uint64_t ledger_seq = 0, ledger_commits = 0;
  uint64_t hooks_rejected = 0;  // bodies of a webhook that no signal could be made of

  /// Signals that are in the journal and not in the ledger.
  uint64_t ledger_lag() const;
};

/// As `detent status --json` prints it.
std::string status_json(const Vitals& vitals);
std::string status_markdown(const Core& core);
/// Prometheus' text form.
std::string metrics(const Vitals& vitals);

}  // namespace detent
