#include "broker/drops.h"

#include <algorithm>

#include "broker/core.h"
#include "broker/dead_letters.h"

namespace detent {

Drops to_drop(const Journal& journal, const DeadLetters& dead, const Core& core, const IdWindow& ids,
              uint64_t ledger_complete) {
  Drops drops;
  const auto snapshot = journal.snapshot_at();
  if (!snapshot) return drops;
  const uint64_t before = std::min(ledger_complete, snapshot->segment);
  const auto used = core.segments_in_use();
  for (const auto& segment : journal.segments()) {
    if (!segment.open && segment.id < before && !used.contains(static_cast<uint32_t>(segment.id)) &&
        ids.covered(segment.id)) {
      drops.segments.push_back(segment.id);
    }
  }
  drops.dead = dead.droppable();
  return drops;
}

}  // namespace detent
