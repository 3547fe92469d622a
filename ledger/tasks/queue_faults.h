// What is wrong with a QUEUE.md as it is written. A fault costs the task that it is in, never the others, and no byte.
// Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/tasks/queue_file.h"

namespace detent {

/// What is wrong, and where. With what is to be done about it, in one line.
struct QueueFault {
  std::size_t line = 0;  // from 1, of the file; of a section: from 1 as well, its heading being the first
  std::string text;
  std::optional<std::size_t> section;  // the one that is not served because of it

  bool operator==(const QueueFault&) const = default;
};

/// "QUEUE.md line 12: …".
std::string describe(const QueueFault& fault);

/// Whether the file is none that a person could have meant: UTF-16, say. Then no section that is missing was deleted.
bool is_unreadable(const QueueFile& file);

/// Of one section by itself: lines among its fields that are none, fields given twice or misspelt or behind a blank
/// line, a fence that nothing closes, what an unresolved merge left.
std::vector<QueueFault> structural_faults(const QueueSection& section);

/// Of the file beyond its single sections: two equal ids (the first stays valid), sections between the two ends of a
/// conflict, the preamble.
std::vector<QueueFault> file_faults(const QueueFile& file);

}  // namespace detent
