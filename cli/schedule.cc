#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "base/ulid.h"
#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/tasks.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

struct Options {
  std::string name;
  uint64_t count = 10;
  bool wait = false;
};

std::string missed(const json::value& schedule) {
  const uint64_t count = number_of(schedule, "missed");
  if (!count) return "none";
  const std::string first = text_of(schedule, "missed_first"), last = text_of(schedule, "missed_last");
  return fmt::format("{}: {}{}", count, first, count > 1 ? " to " + last : "");
}

std::string or_none(std::string text, const char* none) { return text.empty() ? none : text; }

void list(Invocation& invocation) {
  BrokerClient client(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher");
  const json::value answer = client.ask({{"command", "schedule.list"}});
  if (invocation.json) {
    invocation.out << answer << "\n";
    return;
  }
  const auto& schedules = list_of(answer, "schedules");
  if (schedules.empty()) {
    invocation.out << "no schedules: the dispatcher's config has no [[schedule]]\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "CRON", "ZONE", "NEXT", "LAST", "MISSED"}};
  for (const auto& one : schedules) {
    const bool enabled = text_of(one, "enabled") == "true";
    rows.push_back({text_of(one, "name"), text_of(one, "cron"), text_of(one, "zone"),
                    enabled ? or_none(text_of(one, "next"), "unknown yet") : "disabled",
                    or_none(text_of(one, "fired"), "never"), missed(one)});
  }
  print_table(invocation.out, rows);
}

void next(Invocation& invocation, const Options& options) {
  BrokerClient client(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher");
  const json::value answer =
      client.ask({{"command", "schedule.next"}, {"name", options.name}, {"count", options.count}});
  if (invocation.json) {
    invocation.out << answer << "\n";
    return;
  }
  const auto& times = list_of(answer, "times");
  if (times.empty()) {
    invocation.out << "nothing is scheduled\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"DUE", "SCHEDULED", "NAME"}};
  for (const auto& one : times) rows.push_back({text_of(one, "due"), text_of(one, "scheduled"), text_of(one, "name")});
  print_table(invocation.out, rows);
}

void run(Invocation& invocation, const Options& options) {
  // The id is ours, so that asking again makes no second task.
  const std::string id = UlidSource().next(system_now().wall).text();
  BrokerClient client(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher");
  const json::value answer =
      client.order({{"command", "schedule.run"}, {"name", options.name}, {"id", id}}, false, "detent tasks show " + id);
  if (options.wait) return wait_for_task(invocation, id);
  if (invocation.json) {
    invocation.out << answer << "\n";
  } else {
    invocation.out << id << " submitted\n";
  }
}

}  // namespace

void add_schedule(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* schedule = app.add_subcommand("schedule", "Tasks that recur: see when, and run one at once");
  schedule->require_subcommand(1);
  auto* listing = schedule->add_subcommand("list", "Each with its next time, the last that fired, and what was missed");
  add_task_options(*listing, invocation);
  listing->callback([&invocation] { list(invocation); });
  auto* coming = schedule->add_subcommand("next", "The times that come, of all or of one");
  coming->add_option("NAME", options->name, "Of this one alone");
  coming->add_option("--count", options->count, "So many (default: 10)")->check(CLI::Range(1, 1000));
  add_task_options(*coming, invocation);
  coming->callback([&invocation, options] { next(invocation, *options); });
  auto* running =
      schedule->add_subcommand("run", "Submit its task now, beside those that are due; also of a disabled one");
  running->add_option("NAME", options->name, "As `detent schedule list` shows it")->required();
  running->add_flag("--wait", options->wait, "Wait for its end, show what it prints, and exit 0 if it succeeded");
  add_task_options(*running, invocation);
  running->callback([&invocation, options] { run(invocation, *options); });
}

}  // namespace detent
