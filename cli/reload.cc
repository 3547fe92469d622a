#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

void add_reload(CLI::App& app, Invocation& invocation) {
  auto* command =
      app.add_subcommand("reload", "Have the broker read its config again, and say what became of each section");
  add_asking_options(*command, invocation);
  command->footer(
      "A config that does not load changes nothing; the broker says why. Check it first: detent config check");
  command->callback([&invocation] {
    BrokerClient client(invocation.endpoint(), invocation.deadline);
    const json::value verdict = client.ask({{"command", "reload"}});
    if (invocation.json) {
      invocation.out << verdict << "\n";
      return;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& [section, outcome] : verdict.as_object()) {
      rows.push_back({std::string(section), text_of(verdict, std::string_view(section.data(), section.size()))});
    }
    print_table(invocation.out, rows);
  });
}

}  // namespace detent
