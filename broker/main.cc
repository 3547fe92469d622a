// detent-broker: makes signals durable, routes them and fans them out.
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <thread>

#include "base/config.h"
#include "base/log.h"
#include "base/version.h"
#include "broker/broker.h"
#include "routing/router.h"

int main(int argc, char** argv) {
  using namespace detent;
  CLI::App app{
      "The broker: takes signals in, keeps them in its journal, hands them to the consumers of their channels, and "
      "writes the git ledger.\nIt runs in the foreground; SIGTERM drains it, SIGHUP reads the config again.",
      "detent-broker"};
  std::string config_path, log_format, log_level;
  app.add_option("--config", config_path,
                 "detent.toml to read (else $DETENT_CONFIG, ./detent.toml, /etc/detent/detent.toml)");
  app.add_option("--log-format", log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--log-level", log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kLogLevels), std::end(kLogLevels))));
  app.set_version_flag("--version", std::string("detent-broker ") + kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto config = load_config(config_path);
  if (!config) {
    std::cerr << config.error().what << "\n";
    return 2;
  }
  if (const auto routes = Router::compile(*config); !routes) {
    std::cerr << routes.error().what << "\n";
    return 2;
  }
  setup_log("detent-broker", log_format.empty() ? config->log.format : log_format,
            log_level.empty() ? config->log.level : log_level);

  google::protobuf::SetLogHandler(nullptr);  // what peers send wrongly is counted, and must not fill the log

  // What one bite frees the next one needs: handing it to the system in between would cost more than admission itself.
  // Broker::look_after_disk gives back what a burst has left once it is over.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 1 << 20);

  // Signals are taken by a thread that waits for them, so that no handler runs in the middle of anything.
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, number);
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  signal(SIGPIPE, SIG_IGN);
  try {
    RealDisk disk;
    Broker broker(std::move(*config), disk);
    std::jthread signals([&broker, &wanted](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const timespec patience{0, 200'000'000};
        const int number = sigtimedwait(&wanted, nullptr, &patience);
        if (number == SIGHUP) broker.reload();
        if (number == SIGTERM || number == SIGINT) broker.stop();
      }
    });
    spdlog::info("listening on {}{}", broker.endpoint(), broker.http_url().empty() ? "" : " and " + broker.http_url());
    broker.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
  return 0;
}
