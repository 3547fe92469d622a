#include "consumers/program.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>
#include <thread>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/version.h"
#include "config/config.h"
#include "consumers/process.h"

namespace detent::consumers {
namespace {

/// What all consumers' --help ends with.
constexpr const char* kCommon =
    "\nIt keeps nothing itself and may be stopped at any time; SIGTERM finishes what is in flight.";

struct CommonOptions {
  std::string config, log_format, log_level;
};

void add_common(CLI::App& app, CommonOptions& options) {
  app.add_option("--config", options.config,
                 "detent.toml to read (else $DETENT_CONFIG, ./detent.toml, /etc/detent/detent.toml)");
  app.add_option("--log-format", options.log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kLogLevels), std::end(kLogLevels))));
  app.set_version_flag("--version", app.get_name() + " " + kVersion);
}

/// Where the program stops: `why` on stderr, as one line.
int misused(const Program& program, const std::string& why) {
  std::cerr << program.name << ": " << why << "\n";
  return 2;
}

/// "detent-discord alerts briefings": what people see of this process at the broker.
std::string shown_name(const Program& program, const std::vector<Served>& served) {
  std::string out = program.name;
  for (const Served& one : served) {
    const size_t dot = one.name.find('.');
    if (dot != std::string::npos) out += " " + one.name.substr(dot + 1);
  }
  return out;
}

/// Delivers until SIGTERM or SIGINT. A thread waits for these, so that no handler runs in the middle of anything.
int serve(const Program& program, const std::string& broker, std::vector<Served> served) {
  sigset_t ending;
  sigemptyset(&ending);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&ending, number);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  signal(SIGPIPE, SIG_IGN);
  std::string channels;
  for (const Served& one : served) channels += (channels.empty() ? "" : ", ") + one.name;
  const std::string name = shown_name(program, served);
  try {
    Process process(broker, name, std::move(served));
    std::jthread stops([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const timespec patience{0, 200'000'000};
        if (sigtimedwait(&ending, nullptr, &patience) > 0) process.stop();
      }
    });
    spdlog::info("serving {}, broker at {}", channels, broker);
    process.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
  return 0;
}

}  // namespace

int run(const Program& program, int argc, char** argv) {
  CLI::App app{program.about + kCommon, program.name};
  CommonOptions options;
  program.add_options(app);
  add_common(app, options);
  app.footer("Example: " + program.example);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  const auto config = load_config(options.config);
  if (!config) {
    std::cerr << config.error().what << "\n";
    return 2;
  }
  auto served = program.channels(*config);
  if (!served) return misused(program, served.error().what);

  setup_log(program.name, options.log_format.empty() ? config->log.format : options.log_format,
            options.log_level.empty() ? config->log.level : options.log_level);
  spdlog::info("{}", origin_of(*config));
  raise_descriptor_limit();
  return serve(program, config->endpoint_of("broker"), std::move(*served));
}

}  // namespace detent::consumers
