// What the mains of all long-running programs have alike: their options, the config, the log, and the signals that
// stop them.
#pragma once

#include <signal.h>

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <thread>

#include "config/config.h"

namespace CLI {
class App;
}

namespace detent {

struct DaemonOptions {
  std::string config, log_format, log_level;
};

/// Adds --config, --log-format, --log-level and --version.
void add_daemon_options(CLI::App& app, DaemonOptions& options);
/// The exit code where the program ends with that: 0 after --help, 2 for wrong usage.
std::optional<int> parse_options(CLI::App& app, int argc, char** argv);
/// Sets the log up, says there which config was read, and raises the limit of open files.
void begin_daemon(const std::string& program, const Config& config, const DaemonOptions& options);

/// Takes signals on a thread that waits for them, so that no handler runs in the middle of anything.
class SignalThread {
 public:
  /// From here on these are blocked, and SIGPIPE ignored. Before any other thread is started.
  explicit SignalThread(std::initializer_list<int> numbers);
  /// Calls `taken` for each, on a thread of its own, until what it returns ends.
  using Watch = std::jthread;
  [[nodiscard]] Watch start(std::function<void(int number)> taken) const;

 private:
  sigset_t wanted_;
};

}  // namespace detent
