// When the ledger waits for publishers.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace detent {

/// While publishers write faster than a ledger could follow, what it takes of the processor is theirs: it waits, until
/// it is far behind.
class LedgerPace {
 public:
  /// Journalled in a look's time, this is more than the ledger can take up in it (17 MiB/s: bench/RESULTS.md).
  static constexpr Millis kLook{100};
  static constexpr uint64_t kFlood = 2 << 20;

  /// `max_lag`: bytes, from which on publishers are refused. An eighth of it is far behind.
  explicit LedgerPace(uint64_t max_lag) : far_behind_(max_lag / 8) {}

  /// Asked at least every `kLook`. `mono`: monotonic. `journalled`: bytes, in all. `behind`: those that the ledger has
  /// not taken up.
  bool gives_way(Millis mono, uint64_t journalled, uint64_t behind) {
    if (mono - last_look_ >= kLook) {
      flood_ = journalled - looked_at_ >= kFlood * static_cast<uint64_t>((mono - last_look_) / kLook);
      looked_at_ = journalled;
      last_look_ = mono;
    }
    return flood_ && behind < far_behind_;
  }

 private:
  const uint64_t far_behind_;
  uint64_t looked_at_ = 0;  // `journalled` at the last look …
  Millis last_look_{0};     // … which found …
  bool flood_ = false;      // … that publishers are faster
};

}  // namespace detent
