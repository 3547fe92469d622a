// A consumer as a program. A channel's folder brings a Program as a value, and its main hands it to `run`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "consumers/agent.h"

namespace CLI {
class App;
}

namespace detent {
struct Config;
}

namespace detent::consumers {

struct Program {
  std::string name;     // "detent-telegram"
  std::string about;    // what --help says
  std::string example;  // a command line
  /// Options beside those that all consumers have.
  std::function<void(CLI::App& app)> add_options = [](CLI::App&) {};
  /// The channels to serve. Called once the options are read; an error is said on stderr, and the program ends with 2.
  std::function<Result<std::vector<Served>>(const Config& config)> channels;
};

/// Reads options and config, sets the log up, and serves the channels until SIGTERM or SIGINT. The exit code of `main`:
/// 0 after --help or a clean drain, 2 for wrong usage or config, 1 for whatever else fails. Called before any thread is
/// started.
int run(const Program& program, int argc, char** argv);

}  // namespace detent::consumers
