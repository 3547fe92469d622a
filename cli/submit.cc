#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/units.h"
#include "cli/command.h"
#include "cli/publishing.h"
#include "cli/tasks.h"
#include "cli/text.h"
#include "proto/signal.pb.h"

namespace detent {

namespace {

struct Options {
  std::string runner, prompt, title, timeout, at, id;
  int32_t priority = 0;
  uint32_t retries = 0;
  std::vector<std::string> after, labels, needs;
  bool wait = false;
};

void submit(Invocation& invocation, const Options& options) {
  TaskRequest request;
  std::string prompt = options.prompt;
  if (prompt == "-") prompt.assign(std::istreambuf_iterator<char>(invocation.in), {});
  if (prompt.find_first_not_of(" \t\r\n") == std::string::npos) throw Usage("the prompt is empty");
  request.set_title(options.title.empty() ? title_of(prompt) : options.title);
  request.set_body(std::move(prompt));
  request.set_runner(options.runner);
  request.set_priority(options.priority);
  request.set_retries(options.retries);
  if (!options.timeout.empty()) {
    const auto timeout = parse_duration(options.timeout);
    if (!timeout || *timeout == Millis{0})
      throw Usage("--timeout wants a duration such as 2h, not \"" + options.timeout + "\"");
    request.set_timeout_ms(static_cast<uint64_t>(timeout->count()));
  }
  if (!options.at.empty()) {
    const auto in = parse_duration(options.at);
    if (!in) throw Usage("--in wants a duration from now such as 30m, not \"" + options.at + "\"");
    request.set_not_before_ms((system_now().wall + *in).count());
  }
  for (const std::string& id : options.after) {
    if (!Ulid::parse(id)) throw Usage("--after wants the id of a task, not \"" + id + "\"");
    request.add_after(id);
  }
  for (const auto& [key, value] : pairs(options.needs, "--need")) {
    auto* need = request.add_needs();
    need->set_key(key);
    need->set_value(value);
  }
  Draft draft;
  draft.type = "task.requested";
  draft.source = host_name();
  draft.labels = pairs(options.labels, "--label");
  if (!options.id.empty()) {
    const auto id = Ulid::parse(options.id);
    if (!id || *id == Ulid{}) throw Usage("--id wants a ULID of 26 characters, not \"" + options.id + "\"");
    draft.id = *id;
  }
  const Ulid id = publish_signal(invocation, draft, &request);
  if (options.wait) return wait_for_task(invocation, id.text());
  if (invocation.json) {
    invocation.out << boost::json::object{{"id", id.text()}, {"durability", "JOURNALED"}} << "\n";
  } else {
    invocation.out << id.text() << " submitted\n";
  }
}

}  // namespace

void add_submit(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("submit", "Hand a task to a worker; returns once the broker has it on disk");
  command->add_option("RUNNER", options->runner, "What runs it: a [runner.NAME] of the workers' config")->required();
  command->add_option("PROMPT", options->prompt, "What to do; - reads it from standard input")->required();
  command->add_option("--title", options->title, "What lists show (default: the prompt's first line)");
  command->add_option("--priority", options->priority, "Higher ones first (default: 0)");
  command->add_option("--timeout", options->timeout, "For an attempt (default: the runner's)")->type_name("DURATION");
  command->add_option("--retries", options->retries, "How often to try again after a failure (default: 0)")
      ->check(CLI::Range(0, 100));
  command->add_option("--after", options->after, "Only once this task has succeeded; may be repeated")
      ->type_name("ID")
      ->allow_extra_args(false);
  command->add_option("--in", options->at, "Not before this time has passed")->type_name("DURATION");
  command->add_option("--need", options->needs, "A label that the worker must have; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("--label", options->labels, "For routes; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("--id", options->id, "The task's own id: submitting it twice is submitting it once")
      ->type_name("ULID");
  command->add_flag("--wait", options->wait, "Wait for its end, show what it prints, and exit 0 if it succeeded");
  add_task_options(*command, invocation);
  add_broker_option(*command, invocation);
  command->footer(
      "Examples:\n"
      "  detent submit openclaw \"Review this week's commits\" --timeout 2h\n"
      "  detent submit openclaw - --title \"Weekly review\" --wait < review.md");
  command->callback([&invocation, options] { submit(invocation, *options); });
}

}  // namespace detent
