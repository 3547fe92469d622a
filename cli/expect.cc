#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

std::string span(const json::value& object, std::string_view key) {
  return roughly(Millis{static_cast<int64_t>(number_of(object, key))});
}

std::string time(const json::value& object, std::string_view key) {
  const uint64_t ms = number_of(object, key);
  return ms ? utc(Millis{static_cast<int64_t>(ms)}) : std::string();
}

void list(Invocation& invocation) {
  BrokerClient client(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher");
  const json::value answer = client.ask({{"command", "expect.list"}});
  if (invocation.json) {
    invocation.out << answer << "\n";
    return;
  }
  if (text_of(answer, "listening") != "true")
    invocation.out << "the dispatcher does not hear sources at the moment: its link to the broker is down\n";
  const auto& expected = list_of(answer, "expected");
  if (expected.empty()) {
    invocation.out << "nobody is expected to be heard\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "KIND", "EVERY", "LAST HEARD", "STATE"}};
  for (const auto& one : expected) {
    const std::string heard = time(one, "last_heard_ms"), silent = time(one, "silent_since_ms");
    rows.push_back({plain(text_of(one, "name")), text_of(one, "kind"), span(one, "every_ms"),
                    heard.empty() ? "never" : heard, silent.empty() ? "ok" : "SILENT since " + silent});
  }
  print_table(invocation.out, rows);
}

void forget(Invocation& invocation, const std::string& name) {
  BrokerClient client(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher");
  const json::value answer = client.order({{"command", "expect.forget"}, {"name", name}}, false, "detent expect list");
  if (invocation.json) {
    invocation.out << answer << "\n";
  } else {
    invocation.out << plain(name) << " is no longer expected\n";
  }
}

}  // namespace

void add_expect(CLI::App& app, Invocation& invocation) {
  auto name = std::make_shared<std::string>();
  auto* expect = app.add_subcommand("expect", "Who is to be heard, and who has fallen silent");
  expect->require_subcommand(1);
  auto* listing = expect->add_subcommand("list", "Workers and sources, how often, and when each was last heard");
  add_task_options(*listing, invocation);
  listing->callback([&invocation] { list(invocation); });
  auto* forgetting = expect->add_subcommand("forget", "One that is gone for good: it is not expected any more");
  forgetting->add_option("NAME", *name, "As `detent expect list` shows it")->required();
  add_task_options(*forgetting, invocation);
  forgetting->callback([&invocation, name] { forget(invocation, *name); });
}

}  // namespace detent
