#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <iostream>
#include <memory>

#include "base/ulid.h"
#include "base/units.h"
#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"
#include "proto/json.h"
#include "proto/signal_validator.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

struct Options {
  BrokerClient::Tailing tailing;
  std::string since;
  uint64_t count = 0;
};

void print(Invocation& invocation, const TailedSignal& signal) {
  if (invocation.json) {
    boost::json::object line{{"seq", signal.seq()}, {"journalled", utc_millis(Millis{signal.journalled_ms()})}};
    boost::json::array channels;
    for (const std::string& channel : signal.channels()) channels.emplace_back(channel);
    line["channels"] = std::move(channels);
    line["signal"] = boost::json::parse(signal_to_json(signal.signal()));
    invocation.out << line << std::endl;
    return;
  }
  const SignalHeader head = read_header(signal.signal());
  const auto id = Ulid::from_bytes(head.id);
  invocation.out << fmt::format("{}  {:<8}  {}  {}{}  -> {}  {}", utc(Millis{signal.journalled_ms()}),
                                severity_name(head.severity), plain(head.type), plain(payload_title(head.payload)),
                                head.needs_response ? "  (needs a response)" : "",
                                signal.channels().empty() ? "no channel"
                                                          : fmt::format("{}", fmt::join(signal.channels(), ", ")),
                                id ? id->text() : "")
                 << std::endl;
}

/// Whether somebody reads on: not so behind `detent tail | head -1`, once head has what it wanted.
bool is_read(const Invocation& invocation) {
  pollfd output{STDOUT_FILENO, 0, 0};
  const bool gone = &invocation.out == &std::cout && poll(&output, 1, 0) == 1 && (output.revents & POLLERR);
  return invocation.out.good() && !gone;
}

void tail(Invocation& invocation, Options& options) {
  if (!options.since.empty()) {
    const auto ago = parse_duration(options.since);
    if (!ago) throw Usage("--since wants how long ago: 10m, 2h, 1d; not \"" + options.since + "\"");
    options.tailing.since_ms = (system_now().wall - *ago).count();
  }
  uint64_t shown = 0;
  BrokerClient client(invocation.endpoint(), invocation.deadline);
  if (const std::string& channel = options.tailing.channel; !channel.empty()) {
    const auto status = client.ask({{"command", "status"}});
    const auto& channels = list_of(status, "channels");
    if (std::none_of(channels.begin(), channels.end(),
                     [&](const auto& one) { return text_of(one, "name") == channel; }))
      throw Usage("--channel: the broker has no channel \"" + channel + "\"");
  }
  client.tail(options.tailing, [&](const Tailed* tailed) {
    if (!tailed) return is_read(invocation);
    if (tailed->missed())
      invocation.err << "detent tail: " << tailed->missed() << " places of the journal could not be read\n";
    for (const TailedSignal& signal : tailed->signals()) {
      print(invocation, signal);
      if (++shown == options.count) return false;
    }
    return invocation.out.good();
  });
}

}  // namespace

void add_tail(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("tail", "Show signals as they become durable, until it is stopped");
  command->add_option("--channel", options->tailing.channel, "Only those that go to this channel")
      ->type_name("CHANNEL");
  command->add_option("--type", options->tailing.type, "Only types of this form: incident.*")->type_name("GLOB");
  command->add_option("--since", options->since, "Begin this long ago (default: now)")->type_name("DURATION");
  command->add_option("--count", options->count, "End after this many")->type_name("N")->check(CLI::PositiveNumber);
  add_asking_options(*command, invocation);
  command->footer(
      "Examples:\n  detent tail --since 1h\n  detent tail --channel discord.alerts --json | jq .signal.title");
  command->callback([&invocation, options] { tail(invocation, *options); });
}

}  // namespace detent
