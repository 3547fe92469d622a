#include "config/daemon.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/version.h"

namespace detent {

void add_daemon_options(CLI::App& app, DaemonOptions& options) {
  app.add_option("--config", options.config,
                 "detent.toml to read (else $DETENT_CONFIG, ./detent.toml, /etc/detent/detent.toml)");
  app.add_option("--log-format", options.log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kLogLevels), std::end(kLogLevels))));
  app.set_version_flag("--version", app.get_name() + " " + kVersion);
}

std::optional<int> parse_options(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::string why = error.what();
    std::replace(why.begin(), why.end(), '\n', ' ');
    std::cerr << app.get_name() << ": " << why << " (see " << app.get_name() << " --help)\n";
    return 2;
  }
  return std::nullopt;
}

void begin_daemon(const std::string& program, const Config& config, const DaemonOptions& options) {
  setup_log(program, options.log_format.empty() ? config.log.format : options.log_format,
            options.log_level.empty() ? config.log.level : options.log_level);
  spdlog::info("{}", origin_of(config));
  raise_descriptor_limit();
}

SignalThread::SignalThread(std::initializer_list<int> numbers) {
  sigemptyset(&wanted_);
  for (const int number : numbers) sigaddset(&wanted_, number);
  pthread_sigmask(SIG_BLOCK, &wanted_, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

SignalThread::Watch SignalThread::start(std::function<void(int number)> taken) const {
  return std::jthread([wanted = wanted_, taken = std::move(taken)](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const timespec patience{0, 200'000'000};
      if (const int number = sigtimedwait(&wanted, nullptr, &patience); number > 0) taken(number);
    }
  });
}

}  // namespace detent
