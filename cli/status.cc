#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "base/units.h"
#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

const json::value& part_of(const json::value& object, std::string_view key) {
  static const json::value none;
  const auto* all = object.if_object();
  const auto* value = all ? all->if_contains(json::string_view(key.data(), key.size())) : nullptr;
  return value ? *value : none;
}

std::string state_of(const json::value& channel) {
  if (text_of(channel, "circuit_open") == "true") return "circuit open: " + plain(text_of(channel, "why"));
  if (number_of(channel, "consumers") == 0) return "no consumer connected";
  if (const std::string why = plain(text_of(channel, "retrying")); !why.empty())
    return "retrying since " + text_of(channel, "retrying_since") + ": " + why;
  return "ok";
}

void print(std::ostream& out, const json::value& status) {
  out << fmt::format(
      "{}, up {}, publishers {}\n", text_of(status, "broker"),
      roughly(Millis{static_cast<int64_t>(number_of(status, "uptime_s")) * 1000}),
      text_of(status, "publishers") == "paused" ? "paused: " + text_of(status, "paused_because") : "accepted");
  const std::string config = plain(text_of(status, "config"));
  out << "config: " << (config.empty() ? "none found, using the defaults" : config) << "\n";
  const auto& alarms = list_of(status, "alarms");
  for (const json::value& alarm : alarms) {
    const std::string since = plain(text_of(alarm, "since")), cause = plain(text_of(alarm, "cause"));
    out << "ALARM  " << plain(text_of(alarm, "name")) << (since.empty() ? "" : " since " + since)
        << (cause.empty() ? "" : ": " + cause) << "\n";
  }
  if (alarms.empty()) out << "no alarms\n";

  std::vector<std::vector<std::string>> rows{
      {"CHANNEL", "PENDING", "IN FLIGHT", "DELIVERED", "DEAD", "OLDEST", "STATE"}};
  for (const json::value& channel : list_of(status, "channels")) {
    rows.push_back({text_of(channel, "name"), text_of(channel, "pending"), text_of(channel, "in_flight"),
                    text_of(channel, "delivered"), text_of(channel, "dead_letters"), text_of(channel, "oldest_pending"),
                    state_of(channel)});
  }
  out << "\n";
  print_table(out, rows);

  const json::value& journal = part_of(status, "journal");
  const json::value& ledger = part_of(status, "ledger");
  const json::value& counters = part_of(status, "counters");
  out << fmt::format("\njournal  {} in {} segment{}, {} free on the disk{}\n",
                     readable_size(number_of(journal, "bytes")), number_of(journal, "segments"),
                     number_of(journal, "segments") == 1 ? "" : "s", readable_size(number_of(journal, "disk_free")),
                     text_of(journal, "disk_low") == "true" ? " (LOW)" : "");
  out << fmt::format("ledger   {} of {} signals in {}\n", number_of(ledger, "last_seq"),
                     number_of(ledger, "last_seq") + number_of(ledger, "behind"), text_of(ledger, "repository"));
  out << fmt::format("signals  {} admitted, {} repeats, {} refused, {} expired since the start\n",
                     number_of(counters, "admitted"), number_of(counters, "repeats"), number_of(counters, "refused"),
                     number_of(counters, "expired"));
}

}  // namespace

void add_status(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("status", "The broker, its channels and what is wrong");
  add_asking_options(*command, invocation);
  command->footer("Examples:\n  detent status\n  detent status --json | jq '.channels[] | select(.circuit_open)'");
  command->callback([&invocation] {
    BrokerClient client(invocation.endpoint(), invocation.deadline);
    const json::value status = client.ask({{"command", "status"}});
    if (invocation.json) {
      invocation.out << status << "\n";
    } else {
      print(invocation.out, status);
    }
  });
}

}  // namespace detent
