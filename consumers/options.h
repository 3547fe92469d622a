// The command line that all consumers share.
#pragma once

#include <optional>
#include <string>

#include "base/config.h"

namespace CLI {
class App;
}

namespace detent::consumers {

struct Options {
  std::string config, log_format, log_level;
};

void add_options(CLI::App& app, Options& options);

/// Parses, loads the config and sets the log up. An exit code where the program is to end: 0 after --help, 2 for wrong
/// usage or config, said on stderr.
std::optional<int> start(CLI::App& app, Options& options, int argc, char** argv, Config& config);

}  // namespace detent::consumers
