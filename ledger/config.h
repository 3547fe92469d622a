// [ledger] in detent.toml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"

namespace detent {

class Section;

struct LedgerConfig {
  std::filesystem::path repository;  // default: ledger.git under `state`
  std::string remote;                // a git URL; empty: local only
  uint32_t pushes_per_minute = 6;
  Millis push_timeout = std::chrono::seconds{60};
  /// How long a commit waits for its signals' receipts.
  Millis receipts_within = std::chrono::seconds{2};
  /// Types gathered into one commit each `gather_every`.
  std::vector<std::string> gather{"heartbeat.ok"};
  Millis gather_every = std::chrono::hours{1};
  /// Publishers are refused while the ledger lags the journal by more than this.
  uint64_t max_lag = 4096 * kMiB;
  std::string author_name = "Detent";
  std::string author_email = "detent@localhost";

  void read(Section& file);
  void complete(const std::filesystem::path& state);
  bool operator==(const LedgerConfig&) const = default;
};

}  // namespace detent
