#include "cli/inbox.h"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <iostream>
#include <memory>

#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/tasks.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

void print(std::ostream& out, const json::value& inbox) {
  const auto& tasks = list_of(inbox, "tasks");
  if (tasks.empty()) out << "no unread results\n";
  for (const auto& task : tasks) {
    out << text_of(task, "id") << "  " << plain(text_of(task, "title")) << ": " << how_it_is(task) << "\n";
    if (const std::string result = text_of(task, "result"); !result.empty())
      out << "\n" << result << (result.ends_with('\n') ? "\n" : "\n\n");
  }
  if (const auto more = number_of(inbox, "left_off")) out << "and " << more << " more: ask again for those\n";
}

void show(Invocation& invocation, bool peeks) {
  const AskJson ask = [&](const json::object& question) {
    return BrokerClient(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher").ask(question);
  };
  const json::value inbox = read_inbox(ask);
  if (invocation.json) {
    invocation.out << inbox << "\n";
  } else {
    print(invocation.out, inbox);
  }
  if (!invocation.out.flush()) throw Failure("the results could not be printed: they stay unread");
  if (!peeks) mark_read(ask, inbox);
}

}  // namespace

json::value read_inbox(const AskJson& ask) { return ask({{"command", "inbox"}}); }

void mark_read(const AskJson& ask, const json::value& inbox) {
  json::array read;
  for (const auto& task : list_of(inbox, "tasks"))
    read.push_back({{"id", text_of(task, "id")}, {"end", number_of(task, "end")}});
  if (!read.empty()) ask({{"command", "inbox.read"}, {"read", std::move(read)}});
}

void add_inbox(CLI::App& app, Invocation& invocation) {
  auto peeks = std::make_shared<bool>(false);
  auto* command =
      app.add_subcommand("inbox", "Results of tasks that nobody has read yet; afterwards they count as read");
  command->add_flag("--peek", *peeks, "Leave them unread");
  add_task_options(*command, invocation);
  command->callback([&invocation, peeks] { show(invocation, *peeks); });
}

}  // namespace detent
