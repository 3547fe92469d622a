// detent-broker: makes signals durable, routes them and fans them out.
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "broker/process.h"
#include "config/daemon.h"
#include "routing/router.h"

using namespace detent;

namespace {

/// What one bite frees the next one needs: handing it to the system in between would cost more than admission itself.
/// The host gives back what a burst has left once it is over.
void keep_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "The broker: takes signals in, keeps them in its journal, hands them to the consumers of their channels, and "
      "writes the git ledger.\nIt runs in the foreground; SIGTERM drains it, SIGHUP reads the config again.",
      "detent-broker"};
  DaemonOptions options;
  add_daemon_options(app, options);
  if (const auto code = parse_options(app, argc, argv)) return *code;
  auto config = load_config(options.config);
  const auto routes = config ? Router::compile(*config) : config.error();
  if (!routes) {
    std::cerr << routes.error().what << "\n";
    return 2;
  }
  begin_daemon(app.get_name(), *config, options);
  google::protobuf::SetLogHandler(nullptr);  // what peers send wrongly is counted, and must not fill the log
  keep_memory();
  SignalThread signals{SIGTERM, SIGINT, SIGHUP};
  try {
    RealDisk disk;
    BrokerProcess broker(*config, disk);
    const SignalThread::Watch watch =
        signals.start([&](int number) { number == SIGHUP ? broker.reload() : broker.stop(); });
    spdlog::info("listening on {}{}", broker.endpoint(), broker.http_url().empty() ? "" : " and " + broker.http_url());
    broker.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
  return 0;
}
