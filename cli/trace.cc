#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "base/ulid.h"
#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"
#include "cli/trace_words.h"

namespace detent {

namespace json = boost::json;

void add_trace(CLI::App& app, Invocation& invocation) {
  auto id = std::make_shared<std::string>();
  auto* command = app.add_subcommand("trace", "A signal's whole story, ending in one sentence");
  command->add_option("ID", *id, "The signal's id, as publish printed it")->required();
  add_asking_options(*command, invocation);
  command->footer("Example:\n  detent trace $(detent publish cron.output \"backup ok\" --json | jq -r .id)");
  command->callback([&invocation, id] {
    if (!Ulid::parse(*id)) throw Usage("\"" + *id + "\" is not a signal's id (26 characters)");
    BrokerClient client(invocation.endpoint(), invocation.deadline);
    json::value story = client.ask({{"command", "trace"}, {"id", *id}});
    if (invocation.json) {
      if (auto* object = story.if_object()) object->insert_or_assign("sentence", trace_sentence(story));
      invocation.out << story << "\n";
      return;
    }
    print_trace(invocation.out, story);
  });
}

}  // namespace detent
