// detent-worker: runs tasks, isolated, on any machine that can reach the dispatcher.
#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "config/daemon.h"
#include "worker/process.h"

using namespace detent;

int main(int argc, char** argv) {
  CLI::App app{
      "A worker: takes tasks from the dispatcher, runs each by its [runner.NAME], and sends back how it went.\nIt "
      "connects outward only. SIGTERM lets what runs end first; a second one cancels it.",
      "detent-worker"};
  DaemonOptions options;
  add_daemon_options(app, options);
  if (const auto code = parse_options(app, argc, argv)) return *code;
  const auto config = load_config(options.config);
  if (!config) {
    std::cerr << config.error().what << "\n";
    return 2;
  }
  begin_daemon(app.get_name(), *config, options);
  google::protobuf::SetLogHandler(nullptr);
  SignalThread signals{SIGTERM, SIGINT};
  try {
    RealDisk disk;
    WorkerProcess worker(*config, disk);
    const SignalThread::Watch watch = signals.start([&](int) { worker.stop(); });
    worker.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
  return 0;
}
