// A command run under our eyes: its output passes through as it comes, its tail is kept, its end is told.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"

namespace detent {

struct Watched {
  int exit_code = 0;  // as a shell gives it: 126 or 127 where it could not be started, 128 + the signal that ended it
  int signal = 0;     // that signal, or 0
  std::string not_started;  // why, or empty
  std::string lost;         // why some of its output could not be passed through, or empty
  Millis took{0};
  std::string output;  // standard output and error as they came, the last `keep` bytes
  bool cut = false;
};

/// Runs `command` with our standard input and environment. TERM, INT, HUP and QUIT sent to this process are passed on;
/// what a terminal sends reaches the command by itself. Returns once the command has ended, though what it left behind
/// may go on. Blocks those signals in the calling thread while it runs, and ignores SIGPIPE: where nobody reads `out`
/// or `err` any more, the command goes on.
Watched watch(const std::vector<std::string>& command, int out, int err, size_t keep);

}  // namespace detent
