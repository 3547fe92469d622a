// Tasks that are over leave QUEUE.md for worker/ARCHIVE/YYYY-MM.md, so that the queue stays short. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "ledger/tasks/queue_file.h"

namespace detent {

struct ArchivePolicy {
  Millis max_age = std::chrono::hours{24 * 7};
  std::size_t max_finished = 100;
};

struct FinishedTask {
  std::string id;
  Millis ended{0};  // wall
};

/// Which of the tasks that are over leave QUEUE.md, the oldest first: those that ended longer than `max_age` ago, and
/// all but the newest `max_finished`.
std::vector<std::string> tasks_to_archive(std::span<const FinishedTask> finished, Millis now,
                                          const ArchivePolicy& policy);

/// "worker/ARCHIVE/2026-11.md".
std::string archive_path(Millis ended);

/// `archive` (empty: a new one) with the section as it stood in QUEUE.md at its end. What is there stays as it is, and
/// a task that is in it already is not added again.
std::string append_to_archive(std::string archive, const QueueSection& section, Millis ended);

}  // namespace detent
