// RESULTS/<task-id>.md: how a task ended, as a front matter and the Markdown that its runner answered with. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "ledger/tasks/front_matter.h"

namespace detent {

struct TaskResult {
  std::string id;
  std::string title;
  std::string runner;
  std::string worker;
  std::uint32_t epoch = 0;
  std::string state;  // "succeeded", "failed", …: name_of(QueueState)
  Millis started{0};  // wall; zero: not known
  Millis ended{0};
  Millis took{0};
  std::optional<std::int32_t> exit_code;
  bool needs_response = false;
  std::string severity;            // empty: not said
  std::uint64_t output_bytes = 0;  // of all that was printed, where the body holds only the end of it; else 0
  std::string output_sha256;       // of the same, in hex
  std::string error;               // why it did not succeed, in one line
  std::string body;                // Markdown

  bool operator==(const TaskResult&) const = default;
};

/// The whole file. Values are written as single lines of at most 1,024 characters; the body ends in a line end.
std::string print_result(const TaskResult& result);

struct ResultReading {
  TaskResult result;
  std::vector<FrontMatter::Fault> faults;  // what of the front matter is not as `print_result` writes it
};

/// Reads any text; what is missing or malformed stays at its default and is named in `faults`.
ResultReading read_result(std::string_view text);

/// What a runner says about its own answer, in a front matter that the answer begins with and that has `needs_response`
/// or `severity` in it.
struct RunnerAnswer {
  bool needs_response = false;
  std::optional<int> severity;  // as parse_severity
  std::string title;
  std::string_view body;  // without the front matter; all of the answer where that says anything besides
  std::vector<FrontMatter::Fault> faults;
};

RunnerAnswer read_answer(std::string_view output);

}  // namespace detent
