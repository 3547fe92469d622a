// Edits that people made to QUEUE.md, taken in by what they mean: task by task, field by field. Lines are never merged
// as text, since that has been seen to double tasks and to mix their bodies. Pure.
//
// Who has the say: `state` and `claim` are the dispatcher's, but for a cancel; the title, the text and every other
// field are people's, as is the order of the sections and the preamble.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/tasks/queue_tasks.h"

namespace detent {

/// What a person asked for with an edit.
struct QueueRequest {
  enum class Kind : std::uint8_t {
    new_task,        // to be given an id (`adopt`) where it has none
    values_changed,  // of `fields`; "title" is one of them. Of an id that is not known: a new task whose fault was
                     // mended
    text_changed,
    removed,  // its section is gone; it was queued, or over
    cancel,   // its state was set to cancelled, or its section deleted while it was claimed or ran
  };
  Kind kind = Kind::new_task;
  std::string id;           // of the task; of a new one what was written, mostly nothing
  std::size_t section = 0;  // in the merged file; nothing of a removed one
  std::vector<std::string> fields;

  bool operator==(const QueueRequest&) const = default;
};

/// Whose commit is the newer one: its value wins where both sides changed the same field.
enum class Newer : std::uint8_t { ours, theirs };

struct QueueMerge {
  QueueFile merged;
  QueueReading reading;  // of the merged file; its faults include what could not be taken in
  std::vector<QueueRequest> requests;
};

/// `base` is what both sides began with, `ours` the dispatcher's, `theirs` as people edited it. Of two values of a
/// field the other one is kept as `conflict-<field>`, of two texts both; an edit of a task that has left the queue
/// since is a fault that says so. A task with a fault makes no request but a cancel; when a later edit mends the fault,
/// take all of its values anew.
QueueMerge merge_queues(const QueueFile& base, const QueueFile& ours, const QueueFile& theirs, Newer newer);

}  // namespace detent
