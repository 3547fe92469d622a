// detent-bench: one measurement a call, its figures as a line of JSON. script/bench starts the servers, calls it in
// rounds and makes the table.
#include <CLI/CLI.hpp>
#include <iostream>

#include "base/log.h"
#include "base/result.h"
#include "bench/measurements.h"

int main(int argc, char** argv) {
  using namespace detent::bench;
  CLI::App app{"Measures detent, and what it is compared with. See script/bench.", "detent-bench"};
  app.require_subcommand(1);
  std::string at, channel, broker, config, directory, sandbox;
  uint64_t count = 0;
  int port = 0, clients = 1, depth = 1;
  bool one_a_frame = false;

  const auto measure = [&](const char* name, const char* what, std::function<void()> run) {
    auto* command = app.add_subcommand(name, what);
    command->add_option("--count", count, "signals")->default_val(100'000);
    command->callback(std::move(run));
    return command;
  };
  const auto where = [&](CLI::App* command) {
    command->add_option("--at", at, "endpoint or URL of the server")->required();
    return command;
  };
  where(measure("publish", "pipelined, until acknowledged", [&] {
    publish({at, count, one_a_frame});
  }))->add_flag("--one-a-frame", one_a_frame, "one signal a frame");
  where(measure("alone", "one publish at a time", [&] { alone(at, count); }));
  where(measure("deliver", "publish, deliver and settle", [&] { deliver(at, channel, count); }))
      ->add_option("--channel", channel)
      ->required();
  auto* again = where(
      measure("restart", "start the broker until its first delivery", [&] { restart(broker, config, at, channel); }));
  again->add_option("--channel", channel)->required();
  again->add_option("--broker", broker, "the program")->required();
  again->add_option("--config", config)->required();
  where(measure("visible", "publish until it is in the sandbox's Discord", [&] { visible(at, sandbox, count); }))
      ->add_option("--sandbox", sandbox, "its URL")
      ->required();

  measure("zeromq", "raw DEALER to ROUTER", [&] { raw_zeromq(count); });
  measure("round-trip", "of raw ZeroMQ", [&] { round_trip(count); });
  measure("sync", "write and fdatasync", [&] { sync(directory, count); })
      ->add_option("--directory", directory)
      ->required();
  where(measure("jetstream", "publish to a file stream", [&] { jetstream_publish(at, count); }));
  where(measure("jetstream-deliver", "publish, deliver and acknowledge", [&] { jetstream_deliver(at, count); }));
  auto* streams = measure("redis", "XADD", [&] { redis(port, count, clients, depth); });
  streams->add_option("--port", port)->required();
  streams->add_option("--clients", clients);
  streams->add_option("--depth", depth);

  detent::setup_log("detent-bench", "text", "warning");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << "detent-bench: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
