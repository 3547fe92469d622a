// One task's section, edited on two sides (queue_merge.h). Pure.
#pragma once

#include <string>
#include <vector>

#include "ledger/tasks/queue_merge.h"

namespace detent {

struct SectionMerge {
  QueueSection merged;
  std::vector<std::string> fields;  // people's, whose value is theirs
  bool text_changed = false;        // by them
  bool cancel = false;
  std::vector<std::string> refused;  // what of theirs was not taken, each as a sentence
};

/// `theirs` with what is the dispatcher's, and what it alone changed, from `ours`. Bytes that nobody changed stay as
/// `theirs` has them.
SectionMerge merge_sections(const QueueSection& base, const QueueSection& ours, const QueueSection& theirs,
                            Newer newer);

/// What `section` says its state is; queued where it says nothing that is one.
QueueState state_of(const QueueSection& section);

}  // namespace detent
