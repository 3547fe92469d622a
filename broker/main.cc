// detent-broker: makes signals durable, routes them and fans them out.
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <thread>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/version.h"
#include "broker/process.h"
#include "config/config.h"
#include "routing/router.h"

using namespace detent;

namespace {

struct Options {
  std::string config, log_format, log_level;
};

/// False where the program is to end with `code`.
bool read_options(int argc, char** argv, Options& options, int& code) {
  CLI::App app{
      "The broker: takes signals in, keeps them in its journal, hands them to the consumers of their channels, and "
      "writes the git ledger.\nIt runs in the foreground; SIGTERM drains it, SIGHUP reads the config again.",
      "detent-broker"};
  app.add_option("--config", options.config,
                 "detent.toml to read (else $DETENT_CONFIG, ./detent.toml, /etc/detent/detent.toml)");
  app.add_option("--log-format", options.log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kLogLevels), std::end(kLogLevels))));
  app.set_version_flag("--version", std::string("detent-broker ") + kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    code = app.exit(error) == 0 ? 0 : 2;
    return false;
  }
  return true;
}

/// What one bite frees the next one needs: handing it to the system in between would cost more than admission itself.
/// The host gives back what a burst has left once it is over.
void keep_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
}

/// Signals are taken by a thread that waits for them, so that no handler runs in the middle of anything.
sigset_t block_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, number);
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return wanted;
}

void obey_signals(const std::stop_token& stop, const sigset_t& wanted, BrokerProcess& broker) {
  while (!stop.stop_requested()) {
    const timespec patience{0, 200'000'000};
    const int number = sigtimedwait(&wanted, nullptr, &patience);
    if (number == SIGHUP) broker.reload();
    if (number == SIGTERM || number == SIGINT) broker.stop();
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int code = 0;
  if (!read_options(argc, argv, options, code)) return code;
  auto config = load_config(options.config);
  const auto routes = config ? Router::compile(*config) : config.error();
  if (!routes) {
    std::cerr << routes.error().what << "\n";
    return 2;
  }
  setup_log("detent-broker", options.log_format.empty() ? config->log.format : options.log_format,
            options.log_level.empty() ? config->log.level : options.log_level);
  spdlog::info("{}", origin_of(*config));
  raise_descriptor_limit();
  google::protobuf::SetLogHandler(nullptr);  // what peers send wrongly is counted, and must not fill the log
  keep_memory();
  const sigset_t wanted = block_signals();
  try {
    RealDisk disk;
    BrokerProcess broker(*config, disk);
    std::jthread signals([&](const std::stop_token& stop) { obey_signals(stop, wanted, broker); });
    spdlog::info("listening on {}{}", broker.endpoint(), broker.http_url().empty() ? "" : " and " + broker.http_url());
    broker.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
  return 0;
}
