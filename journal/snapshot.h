// Snapshots: files `snapshot-<segment>-<offset>`, the two newest of them kept.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "journal/journal.h"
#include "journal/quarantine.h"

namespace detent {

struct StoredSnapshot {
  LogPosition at;
  std::string bytes;
  std::uint64_t before = 0;  // the segment of the one before it; 0: there is none
};

/// Durable when it returns; removes those older than the one before it.
Result<void> write_snapshot(Disk& disk, const std::string& directory, const LogPosition& at, std::string_view bytes);

/// The newest that is whole; damaged ones go to quarantine and are reported. `names`: what the directory holds.
Result<std::optional<StoredSnapshot>> read_snapshot(Disk& disk, const std::string& directory,
                                                    const std::vector<std::string>& names, Quarantine& quarantine,
                                                    const std::function<void(const Damage&)>& damaged);

}  // namespace detent
