// What is written down of an attempt while it runs, so that the next start of the worker finds and ends whatever an
// earlier one could not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "worker/isolation.h"
#include "worker/processes.h"

namespace detent {

/// "01J…8.3": how an attempt is called in the worker's folder. An error where the task's id is no plain name (letters,
/// digits, "-" and "_", at most 100), since it becomes part of a path.
Result<std::string> attempt_name(std::string_view task, uint64_t epoch);

struct AttemptRecord {
  std::string name;
  std::string boot;      // the process numbers are of this one
  pid_t guard = 0;       // 0: not started yet
  uint64_t started = 0;  // the guard, in clock ticks since the boot
  std::filesystem::path cgroup;

  std::string text() const;
  static std::optional<AttemptRecord> parse(std::string_view text);
  bool operator==(const AttemptRecord&) const = default;
};

/// The value of DETENT_ATTEMPT in the environment of an attempt's processes.
std::string attempt_mark(const Isolation& isolation, const std::string& name);

Result<> write_record(const Isolation& isolation, const AttemptRecord& record);
void remove_record(const Isolation& isolation, const std::string& name);

/// Ends all of one attempt that can be found: in its leaf, below its guard, or by its mark. Blocks up to `patience`.
Ended end_attempt(const Isolation& isolation, const AttemptRecord& record, Millis patience);

/// What an earlier life of this worker left: ended, removed, and told in a line each ("attempt X of an earlier run: 3
/// processes ended"). Before the first attempt; blocks.
std::vector<std::string> end_leftovers(const Isolation& isolation);

}  // namespace detent
