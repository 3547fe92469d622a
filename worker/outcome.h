// How an attempt went, and how that is told from what the command did. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "worker/config.h"
#include "worker/output.h"

namespace detent {

struct Outcome {
  enum class State { succeeded, failed, timed_out, cancelled };

  State state = State::failed;
  int exit_code = 0;  // as a shell gives it: 126 or 127 where it could not be run, 128 + the signal that ended it
  int signal = 0;     // that signal, or 0
  std::string error;  // why it did not succeed, in one line; empty where it did
  Millis took{0};
  std::string text;    // the result: what it printed (its end), or the agent's final answer. UTF-8
  std::string tail;    // the end of both streams as they came, UTF-8
  Output::Stream out;  // standard output as a whole: bytes and hash (its tail is in `text`)
  Output::Stream err;
  uint64_t tool_failures = 0;  // an agent's
  uint64_t peak_memory = 0;    // bytes; 0: not known
  Millis cpu{0};
  uint64_t leftovers = 0;  // processes that the command left behind; they were ended
};

std::string_view name_of(Outcome::State state);

/// How much of standard output must be kept to judge it.
std::size_t output_to_keep(const RunnerConfig& runner);

/// Of a command that ended by itself with `exit_code` and `signal`: state, error and text, from what it printed.
void judge(Outcome& outcome, const RunnerConfig& runner, const Output& output);

/// "was ended by signal 11 (Segmentation fault)", "exited with 3".
std::string exit_in_words(int code, int signal);

}  // namespace detent
