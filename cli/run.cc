#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/utf8.h"
#include "cli/command.h"
#include "cli/publishing.h"
#include "cli/text.h"
#include "cli/watched_child.h"
#include "proto/signal.pb.h"

namespace detent {

namespace {

/// Kept of a command's output: enough to see how it ended, small enough for any channel.
constexpr size_t kOutputKept = 64 * 1024;

struct Options {
  std::string name, type = "cron.output", source;
  bool only_failures = false;
  bool needs_response = false;
};

std::string how_it_ended(const Watched& watched) {
  if (!watched.not_started.empty()) return "could not be started";
  if (watched.signal) return fmt::format("was ended by signal {} ({})", watched.signal, strsignal(watched.signal));
  if (watched.exit_code) return fmt::format("failed with exit code {}", watched.exit_code);
  return "succeeded";
}

std::string span(Millis took) {
  if (took < Millis{1000}) return fmt::format("{} ms", took.count());
  return roughly(took);
}

/// As a Markdown code block, whatever is in it.
std::string fenced(const std::string& text) {
  std::string fence = "```";
  while (text.find(fence) != std::string::npos) fence += '`';
  return fence + "\n" + text + (text.ends_with('\n') ? "" : "\n") + fence + "\n";
}

/// Throws Usage where no outcome could be published under these options, before anything is run. A config that does not
/// load is no reason: the command is run all the same.
void check(const Options& options) {
  SignalBuilder builder{Patterns{}};
  const auto built = builder.build({.type = options.type, .title = "run", .source = options.source}, system_now());
  if (!built) throw Usage("not a good signal: " + built.error().what);
}

void run(Invocation& invocation, const Options& options, std::vector<std::string> command) {
  if (command.empty()) throw Usage("say what to run: detent run -- COMMAND …");
  check(options);
  const Watched watched = watch(command, STDOUT_FILENO, STDERR_FILENO, kOutputKept);
  invocation.exit = watched.exit_code;
  if (!watched.not_started.empty()) invocation.err << "detent run: " << watched.not_started << "\n";
  if (!watched.lost.empty())
    invocation.err << "detent run: its output could not be passed on: " << watched.lost << "\n";
  const bool failed = watched.exit_code != 0;
  if (options.only_failures && !failed) return;

  const std::string name = options.name.empty() ? std::filesystem::path(command[0]).filename().string() : options.name;
  const std::string how = fmt::format(" {} after {}", how_it_ended(watched), span(watched.took));
  const std::string title = std::string(head_of(to_utf8(name), 512 - how.size())) + how;
  Draft draft{.type = options.type,
              .title = title,
              .source = options.source.empty() ? host_name() : options.source,
              .severity = failed ? ERROR : INFO,
              .needs_response = failed && options.needs_response};
  draft.labels = {{"job", std::string(head_of(to_utf8(name), 256))}};
  const std::string words = to_utf8(fmt::format("{}", fmt::join(command, " ")));
  try {
    Ulid id;
    if (options.type == "cron.output") {
      CronOutput payload;
      payload.set_title(title);
      payload.set_job(std::string(head_of(to_utf8(name), 256)));
      payload.set_command(std::string(tail_of(words, 4096)));
      payload.set_exit_code(watched.exit_code);
      payload.set_took_ms(watched.took.count());
      payload.set_output(to_utf8(tail_of(watched.output, kOutputKept)));
      payload.set_output_cut(watched.cut);
      id = publish_signal(invocation, draft, &payload);
    } else {
      draft.fields = {{"job", std::string(head_of(to_utf8(name), 1024))},
                      {"exit code", std::to_string(watched.exit_code)},
                      {"took", span(watched.took)}};
      const std::string output = to_utf8(watched.output);
      if (!output.empty()) draft.body = fenced(output);
      id = publish_signal(invocation, draft);
    }
    if (invocation.json) invocation.err << "{\"id\":\"" << id.text() << "\",\"exit\":" << watched.exit_code << "}\n";
  } catch (const std::exception& error) {
    // How the command went is what the caller asked for; that it could not be told is said beside it.
    invocation.err << "detent run: the outcome was not published: " << error.what() << "\n";
  }
}

}  // namespace

void add_run(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("run", "Run a command, publish how it went, keep its exit code");
  command
      ->add_option("--name", options->name,
                   "What the job is called, and the signal's label \"job\" (default: the command's name)")
      ->type_name("NAME");
  command->add_option("--type", options->type, "The signal's type (default: cron.output)")->type_name("TYPE");
  command->add_option("--source", options->source, "Who says it (default: this host's name)")->type_name("NAME");
  command->add_flag("--only-failures", options->only_failures, "Publish nothing where it succeeded");
  command->add_flag("--needs-response", options->needs_response, "Where it failed the operator must do something");
  add_asking_options(*command, invocation);
  command->footer(
      "The command and its arguments come last: detent run [OPTIONS] -- COMMAND [ARGUMENTS…]\n"
      "Its output passes through; the last 64 KiB go with the signal. With --json the signal's id goes to standard "
      "error.\n"
      "Examples:\n"
      "  detent run --name backup -- /usr/local/bin/backup --all\n"
      "  0 3 * * *  detent run --only-failures -- certbot renew      (in a crontab)");
  command->prefix_command();
  command->callback([&invocation, options, command] {
    std::vector<std::string> words = command->remaining();
    words.insert(words.end(), invocation.rest.begin(), invocation.rest.end());
    run(invocation, *options, std::move(words));
  });
}

}  // namespace detent
