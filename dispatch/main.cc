// detent-dispatch: the task queue. Takes tasks from the broker, gives them to workers, and says what became of them.
#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "config/daemon.h"
#include "dispatch/process.h"

using namespace detent;

int main(int argc, char** argv) {
  CLI::App app{
      "The dispatcher: keeps the queue of tasks, gives them to the workers that connect to it, and publishes how they "
      "ended.\nIt runs in the foreground beside the broker; SIGTERM stops it, and what workers run goes on meanwhile.",
      "detent-dispatch"};
  DaemonOptions options;
  add_daemon_options(app, options);
  if (const auto code = parse_options(app, argc, argv)) return *code;
  const auto config = load_config(options.config);
  if (!config) {
    std::cerr << config.error().what << "\n";
    return 2;
  }
  begin_daemon(app.get_name(), *config, options);
  google::protobuf::SetLogHandler(nullptr);  // what peers send wrongly is counted, and must not fill the log
  SignalThread signals{SIGTERM, SIGINT};
  try {
    RealDisk disk;
    DispatchProcess dispatcher(*config, disk);
    const SignalThread::Watch watch = signals.start([&](int) { dispatcher.stop(); });
    spdlog::info("listening on {}, tasks come from {}", dispatcher.endpoint(), config->endpoint_of("broker"));
    dispatcher.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
  return 0;
}
