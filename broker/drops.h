// Which segments nobody needs any more. The broker and the simulator ask here, so that what the simulator proves is the
// rule that runs.
#pragma once

#include <cstdint>
#include <vector>

namespace detent {

class Core;
class DeadLetters;
class IdWindow;
class Journal;

/// Segments, by journal.
struct Drops {
  std::vector<uint64_t> segments, dead;
};

/// What may go once all that the core has settled by now is durable; until then writing a dead letter reads it, and a
/// restart needs it. A segment of the journal: sealed, before the snapshot and before `ledger_complete` (all records of
/// segments before that one are in the ledger), its ids in a file, nothing open in it. One of the dead letters: no
/// letter in it.
Drops to_drop(const Journal& journal, const DeadLetters& dead, const Core& core, const IdWindow& ids,
              uint64_t ledger_complete);

}  // namespace detent
