#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/units.h"
#include "cli/command.h"
#include "cli/publishing.h"

namespace detent {

namespace {

struct Options {
  Draft draft;
  std::string severity, expires, id, reply;
  std::vector<std::string> fields, labels;
};

Ulid ulid(const std::string& text, std::string_view option) {
  const auto id = Ulid::parse(text);
  if (!id) throw Usage(std::string(option) + " wants a ULID of 26 characters, not \"" + text + "\"");
  return *id;
}

constexpr size_t kMaxBody = 4 << 20;  // proto/signal.proto

std::string read_body(std::istream& in) {
  std::string body;
  for (std::istreambuf_iterator<char> at(in), end; at != end; ++at) {
    if (body.size() == kMaxBody) throw Failure("--body: standard input has more than the 4 MiB of a body");
    body += *at;
  }
  if (&in == &std::cin && std::ferror(stdin))
    throw Failure(std::string("--body: standard input cannot be read: ") + std::strerror(errno));
  return body;
}

void publish(Invocation& invocation, Options& options) {
  Draft& draft = options.draft;
  if (draft.source.empty()) draft.source = host_name();
  if (!options.severity.empty()) draft.severity = parse_severity(options.severity);
  if (!options.severity.empty() && !draft.severity)
    throw Usage("--severity is one of info, notice, warning, error, critical; not \"" + options.severity + "\"");
  draft.fields = pairs(options.fields, "--field");
  draft.labels = pairs(options.labels, "--label");
  if (!options.expires.empty()) {
    const auto expires = parse_duration(options.expires);
    if (!expires || *expires == Millis{0})
      throw Usage("--expires wants a duration such as 10m, not \"" + options.expires + "\"");
    draft.expires_in = *expires;
  }
  if (!options.id.empty() && Ulid::parse(options.id) == Ulid{}) throw Usage("--id: all zeros are no signal's id");
  if (!options.id.empty()) draft.id = ulid(options.id, "--id");
  if (!options.reply.empty()) draft.in_reply_to = ulid(options.reply, "--in-reply-to");
  if (draft.body == "-") draft.body = read_body(invocation.in);

  const Ulid id = publish_signal(invocation, draft);
  if (invocation.json) {
    invocation.out << boost::json::object{{"id", id.text()}, {"durability", "JOURNALED"}} << "\n";
  } else {
    invocation.out << id.text() << " journalled\n";
  }
}

}  // namespace

void add_publish(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("publish", "Publish one signal; returns once the broker has it on disk");
  command->add_option("TYPE", options->draft.type, "What it is: incident.detected, heartbeat.ok, cron.output, …")
      ->required();
  command->add_option("TITLE", options->draft.title, "One line: what happened")->required();
  command->add_option("--body", options->draft.body, "Markdown; - reads it from standard input")->type_name("TEXT|-");
  command->add_option("--source", options->draft.source, "Who says it (default: this host's name)")->type_name("NAME");
  command
      ->add_option("--severity", options->severity,
                   "info, notice, warning, error or critical (default: info; error for an exit_code other than 0)")
      ->type_name("SEVERITY");
  command
      ->add_option("--field", options->fields,
                   "A short fact; may be repeated. One that the type's payload knows goes there")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("--label", options->labels, "For routes; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--needs-response", options->draft.needs_response,
                    "The operator must do something: it goes to the operator's channel");
  command
      ->add_option("--thread", options->draft.thread,
                   "Signals with the same key are delivered in order and shown together")
      ->type_name("KEY");
  command->add_option("--url", options->draft.url, "Where to look")->type_name("URL");
  command->add_option("--expires", options->expires, "Not worth delivering after this (default: by type)")
      ->type_name("DURATION");
  command->add_option("--id", options->id, "The signal's own id: publishing it twice is publishing it once")
      ->type_name("ULID");
  command->add_option("--in-reply-to", options->reply, "The signal that this one answers")->type_name("ULID");
  add_asking_options(*command, invocation);
  command->footer(
      "Examples:\n"
      "  detent publish incident.detected \"disk 95% on robo-1\" --severity error --field host=robo-1\n"
      "  df -h | detent publish health.check \"disks\" --body -\n"
      "  detent publish incident.detected \"restart postgres?\" --needs-response");
  command->callback([&invocation, options] { publish(invocation, *options); });
}

}  // namespace detent
