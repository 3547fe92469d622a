// What the sections of a QUEUE.md mean: tasks with their values, and what is wrong, by line. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "ledger/tasks/queue_faults.h"
#include "ledger/tasks/queue_file.h"

namespace detent {

enum class QueueState : std::uint8_t { queued, claimed, running, succeeded, failed, timed_out, cancelled, lost };

std::string_view name_of(QueueState state);
/// Either case; "timed out" and "timed-out" as well.
std::optional<QueueState> parse_queue_state(std::string_view name);
/// Nothing follows it but by a person's wish.
bool is_final(QueueState state);

/// A task as its section says it. What was not written is empty.
struct QueueTask {
  std::string id;  // empty: written by hand, and to be given one (`adopt`)
  std::string title;
  std::optional<QueueState> state;
  std::optional<std::int32_t> priority;
  std::string runner;
  std::string created;  // for people: "2026-02-19T10:00:00Z by main"
  std::optional<Millis> not_before;
  std::vector<std::string> after;
  std::optional<Millis> timeout;
  std::optional<std::uint32_t> retries;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string claim;  // for people: "worker-1 epoch=2 since 2026-02-19T10:07:00Z"
  std::string text;

  std::size_t section = 0;  // in the file
  std::size_t line = 0;     // of its heading, from 1

  bool operator==(const QueueTask&) const = default;
};

struct QueueReading {
  std::vector<QueueTask> tasks;    // those that are served, in the file's order
  std::vector<QueueFault> faults;  // in the order of their lines
};

/// Every task in `file` without a fault, and every fault in it.
QueueReading read_queue(const QueueFile& file);

/// Limits of what a person may write, as reasons where they are passed.
inline constexpr std::uint32_t kMaxRetries = 1000;
inline constexpr std::size_t kMaxAfter = 64;

/// The section that says `task`, ready for `QueueFile::add`. Values that are not set get no line, but `state`,
/// `created`, `runner` and `claim`, which people look for.
QueueSection section_of(const QueueTask& task, std::string_view line_end);

/// Makes a section that was written by hand a task: `## Do X` becomes `## <id> - Do X`, and is given a state where it
/// has none.
void adopt(QueueSection& section, std::string_view id, QueueState state, std::string_view created);

}  // namespace detent
