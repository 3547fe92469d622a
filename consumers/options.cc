#include "consumers/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/log.h"
#include "base/version.h"

namespace detent::consumers {

void add_options(CLI::App& app, Options& options) {
  app.add_option("--config", options.config,
                 "detent.toml to read (else $DETENT_CONFIG, ./detent.toml, /etc/detent/detent.toml)");
  app.add_option("--log-format", options.log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kLogLevels), std::end(kLogLevels))));
  app.set_version_flag("--version", app.get_name() + " " + kVersion);
}

std::optional<int> start(CLI::App& app, Options& options, int argc, char** argv, Config& config) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto loaded = load_config(options.config);
  if (!loaded) {
    std::cerr << loaded.error().what << "\n";
    return 2;
  }
  config = std::move(*loaded);
  setup_log(app.get_name(), options.log_format.empty() ? config.log.format : options.log_format,
            options.log_level.empty() ? config.log.level : options.log_level);
  return std::nullopt;
}

}  // namespace detent::consumers
