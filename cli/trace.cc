#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "base/ulid.h"
#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/ledger_story.h"
#include "cli/trace_words.h"
#include "ledger/config.h"

namespace detent {

namespace json = boost::json;

namespace {

/// As the broker tells it; where it does not answer, or its journal has let the signal go, as the ledger does.
json::object story_of(const std::string& id, Invocation& invocation) {
  try {
    BrokerClient client(invocation.endpoint(), invocation.deadline);
    return client.ask({{"command", "trace"}, {"id", id}}).as_object();
  } catch (const Failure& error) {
    const auto ledger = AuditReader::open(invocation.config().of<LedgerConfig>().repository);
    if (!ledger) throw Failure(fmt::format("{}, and {}", error.what(), ledger.error().what));
    const auto lines = ledger->show(std::string_view(id));
    if (!lines) throw Failure(fmt::format("{}, and {}", error.what(), lines.error().what));
    if (lines->empty() || lines->front().receipt)
      throw Failure(std::string(error.what()) + ", and the ledger does not have it");
    json::object story = ledger_story(*lines);
    story["note"] = std::string("as the ledger has it: ") + error.what();
    return story;
  }
}

}  // namespace

void add_trace(CLI::App& app, Invocation& invocation) {
  auto id = std::make_shared<std::string>();
  auto* command = app.add_subcommand("trace", "A signal's whole story, ending in one sentence");
  command->add_option("ID", *id, "The signal's id, as publish printed it")->required();
  add_asking_options(*command, invocation);
  command->footer("Example:\n  detent trace $(detent publish cron.output \"backup ok\" --json | jq -r .id)");
  command->callback([&invocation, id] {
    if (!Ulid::parse(*id)) throw Usage("\"" + *id + "\" is not a signal's id (26 characters)");
    json::object story = story_of(*id, invocation);
    if (!invocation.json) return print_trace(invocation.out, story);
    story["sentence"] = trace_sentence(story);
    invocation.out << story << "\n";
  });
}

}  // namespace detent
