// A task as the dispatcher knows it: all but its prompt and its result, which lie in the journal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ulid.h"
#include "journal/journal.h"

namespace detent {

/// Keys and values, as a worker has them and a task may need them.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// What a worker was given: it holds the attempt while it renews. Judged by the dispatcher's own clock alone.
struct Lease {
  std::string worker;
  uint64_t instance = 0;  // the worker's life
  Millis assigned{0}, until{0};
  bool seen = false;  // the worker has said that it has it
};

/// How an attempt ended; a task's last one is how the task ended.
struct End {
  int state = 0;  // an AttemptState of task.proto
  uint32_t epoch = 0;
  int64_t at_ms = 0;
  int32_t exit_code = 0;
  uint64_t took_ms = 0;
  bool needs_response = false;
  std::optional<int> severity;  // where the runner's answer says so
  std::string worker, error;
  RecordPosition at;    // its record, which holds the result; segment 0: not known, or not durable yet
  uint32_t number = 0;  // which of the task's ends this is, from 1
};

struct Task {
  enum class Phase { New, Waiting, Ready, Running, Over };

  // ---- as it was asked for
  Ulid id;
  uint64_t number = 0;  // in the order in which they came
  int64_t submitted_ms = 0;
  RecordPosition at;  // its record; segment 0: not known
  std::string title, runner;
  int32_t priority = 0;
  uint64_t timeout_ms = 0;
  uint32_t retries = 0;
  Millis not_before{0};  // wall
  std::vector<Ulid> after;
  Labels needs;

  // ---- what became of it
  Phase phase = Phase::New;
  uint32_t epoch = 0;  // of its last attempt; 0: there was none
  uint32_t failures = 0, losses = 0;
  bool cancel_asked = false;
  Millis retry_at{0};          // monotonic; while it waits for its next attempt
  std::optional<Lease> lease;  // while it runs
  std::optional<End> last;     // its last attempt's; how the task ended once it is over
  bool told = false;           // the broker has the signal that says how it ended
  bool filed = false;          // its result is in git, or is not to be
  bool read = false;           // somebody has taken how it ended out of the inbox
  std::string last_line;       // printed by the attempt that runs

  bool is_over() const { return phase == Phase::Over; }
};

}  // namespace detent
