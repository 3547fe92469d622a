// [dispatch] in detent.toml.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/units.h"

namespace detent {

class Section;

struct DispatchConfig {
  std::string listen = "tcp://127.0.0.1:7410";
  /// For how long an attempt whose worker says nothing is believed to run.
  Millis lease{60'000};
  /// For how long no worker must have been connected before a task may be claimed over git.
  Millis fallback_after{60'000};
  /// How often what people commit to `detent/tasks` at the ledger's remote is looked for.
  Millis fetch_every{60'000};
  uint64_t segment = 8 * kMiB;
  /// No task is taken in while less than this is free on the state's disk.
  uint64_t low_water = 256 * kMiB;
  uint32_t max_connections = 256;

  void read(Section& file);
  bool operator==(const DispatchConfig&) const = default;
};

}  // namespace detent
