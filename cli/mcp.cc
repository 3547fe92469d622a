#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/mcp_server.h"
#include "cli/publishing.h"

namespace detent {

void add_mcp(CLI::App& app, Invocation& invocation) {
  auto source = std::make_shared<std::string>();
  auto* command = app.add_subcommand("mcp", "Serve an agent's tools over stdin and stdout (Model Context Protocol)");
  command->add_option("--source", *source, "Who says what is published (default: this host's name)")->type_name("NAME");
  add_broker_option(*command, invocation);
  add_dispatcher_option(*command, invocation);
  add_deadline_option(*command, invocation);
  command->footer(
      "For the agent's configuration, not for people. It ends when its input ends; what it has to say to people goes "
      "to "
      "standard error.\n"
      "Example, for OpenClaw:\n"
      "  mcp: { servers: { detent: { command: \"detent\", args: [\"mcp\"] } } }");
  command->callback([&invocation, source] {
    // Nothing is read or connected before a tool is called: an agent starts this often, and looks at its tools only.
    const AskJson ask = [&invocation](const boost::json::object& question) {
      return BrokerClient(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher").ask(question);
    };
    McpServer(mcp_tools(invocation, source->empty() ? host_name() : *source, ask)).serve(invocation.in, invocation.out);
  });
}

}  // namespace detent
