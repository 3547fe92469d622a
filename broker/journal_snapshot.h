// Snapshots: files `snapshot-<segment>-<offset>`, the two newest of them kept.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "broker/journal.h"
#include "broker/journal_quarantine.h"

namespace detent {

struct Snapshot {
  Mark at;
  std::string bytes;
};

/// Durable when it returns; removes those older than the one before it.
Result<void> write_snapshot(Disk& disk, const std::string& directory, const Mark& at, std::string_view bytes);

/// The newest that is whole; damaged ones go to quarantine and are reported. `names`: what the directory holds.
Result<std::optional<Snapshot>> read_snapshot(Disk& disk, const std::string& directory,
                                              const std::vector<std::string>& names, Quarantine& quarantine,
                                              const std::function<void(const Damage&)>& damaged);

}  // namespace detent
