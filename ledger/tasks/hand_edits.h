// What people asked for by their edits of QUEUE.md, ready to be done. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ulid.h"
#include "ledger/tasks/queue_merge.h"

namespace detent {

/// `request.id` is a ULID, also of what had none or one made by hand.
struct HandEdit {
  QueueRequest::Kind kind = QueueRequest::Kind::new_task;
  Ulid id;
  QueueTask task;  // as it is to be; of a removed or cancelled one nothing
};

/// What a merge asks for. A new task's id comes from what it says and from `origin` (what its commit was built on), so
/// that asking twice makes no second task; with `when` as its time. New tasks that are over are passed over.
std::vector<HandEdit> edits_of(const QueueMerge& merge, std::string_view origin, Millis when);

/// Gives the sections of new tasks the ids that `edits_of` gave them, and a state.
void adopt_new(QueueMerge& merge, std::string_view origin, Millis when, std::string_view created);

}  // namespace detent
