#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

void list(Invocation& invocation) {
  BrokerClient client(invocation.endpoint(), invocation.deadline);
  const json::value channels = client.ask({{"command", "channel.list"}});
  if (invocation.json) {
    invocation.out << channels << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"CHANNEL", "PENDING", "IN FLIGHT", "DELIVERED", "DEAD", "CONSUMERS"}};
  for (const json::value& channel : channels.as_array()) {
    rows.push_back({text_of(channel, "name"), text_of(channel, "pending"), text_of(channel, "in_flight"),
                    text_of(channel, "delivered"), text_of(channel, "dead_letters"), text_of(channel, "consumers")});
  }
  print_table(invocation.out, rows);
}

void drop(Invocation& invocation, const std::string& name, bool has_deadline) {
  BrokerClient client(invocation.endpoint(), invocation.deadline);
  const json::value answer =
      client.order({{"command", "channel.drop"}, {"name", name}}, !has_deadline, "detent channel list");
  if (invocation.json) {
    invocation.out << answer << "\n";
    return;
  }
  invocation.out << "dropped " << text_of(answer, "dropped") << " undelivered signals of " << name << "\n";
}

}  // namespace

void add_channel(CLI::App& app, Invocation& invocation) {
  auto name = std::make_shared<std::string>();
  auto* channel = app.add_subcommand("channel", "The broker's channels and what is pending in them");
  channel->require_subcommand(1);
  auto* listing = channel->add_subcommand("list", "Every channel with what is pending in it");
  add_asking_options(*listing, invocation);
  listing->callback([&invocation] { list(invocation); });
  auto* dropping =
      channel->add_subcommand("drop", "Give up all that is pending in a channel; the ledger keeps the signals");
  dropping->add_option("NAME", *name, "discord.alerts, telegram, …")->required();
  add_asking_options(*dropping, invocation);
  dropping->footer("Without --deadline it waits until all is done.");
  dropping->callback([&invocation, name, dropping] { drop(invocation, *name, dropping->count("--deadline")); });
}

}  // namespace detent
