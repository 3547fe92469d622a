#include "consumers/program.h"

#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "config/daemon.h"
#include "consumers/process.h"

namespace detent::consumers {
namespace {

/// What all consumers' --help ends with.
constexpr const char* kCommon =
    "\nIt keeps nothing itself and may be stopped at any time; SIGTERM finishes what is in flight.";

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

/// Delivers until SIGTERM or SIGINT.
int serve(const Program& program, const std::string& broker, std::vector<Served> served) {
  SignalThread signals{SIGTERM, SIGINT};
  std::string channels;
  for (const Served& one : served) channels += (channels.empty() ? "" : ", ") + one.name;
  const std::string name = shown_name(program, served);
  try {
    Process process(broker, name, std::move(served));
    const SignalThread::Watch watch = signals.start([&](int) { process.stop(); });
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
  DaemonOptions options;
  program.add_options(app);
  add_daemon_options(app, options);
  app.footer("Example: " + program.example);
  if (const auto code = parse_options(app, argc, argv)) return *code;

  const auto config = load_config(options.config);
  if (!config) {
    std::cerr << config.error().what << "\n";
    return 2;
  }
  auto served = program.channels(*config);
  if (!served) return misused(program, served.error().what);

  begin_daemon(program.name, *config, options);
  return serve(program, config->endpoint_of("broker"), std::move(*served));
}

}  // namespace detent::consumers
