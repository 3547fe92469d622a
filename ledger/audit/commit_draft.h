// What one commit of the log says and holds: made from the records that wait, without looking at git.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ledger/audit/message.h"

namespace detent {

/// A record that waits to be committed.
struct PendingRecord {
  bool receipt = false;
  std::uint64_t seq = 0;
  std::string id;
  Mention mention;
  Millis time{0};
  std::string line;
};

/// By place in the journal.
using PendingRecords = std::map<std::uint64_t, PendingRecord>;

struct CommitDraft {
  CommitNote note;      // but its file, which depends on what the tree holds
  std::string content;  // of that file
  std::string stem;     // of its name, without ".jsonl"
  Millis when{0};
};

/// The commit of the records at `places`, on top of a chain that stands at `before`; `held`: what is put off, as place
/// and number of the signal.
CommitDraft batch_of(const PendingRecords& records, const std::vector<std::uint64_t>& places, const ChainState& before,
                     const std::map<std::uint64_t, std::uint64_t>& held, Millis wall);

}  // namespace detent
