#include "cli/command.h"

#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <ostream>

#include "base/log.h"
#include "base/units.h"
#include "base/version.h"

namespace detent {

const Config& Invocation::config() {
  if (!config_) {
    Result<Config> loaded = load_config(config_file);
    if (!loaded) throw Misconfigured(loaded.error().what);
    config_ = std::move(*loaded);
  }
  return *config_;
}

std::string Invocation::endpoint() { return broker.empty() ? config().endpoint_of("broker") : broker; }

std::string Invocation::dispatcher_endpoint() {
  return dispatcher.empty() ? config().endpoint_of("dispatch") : dispatcher;
}

void add_json_option(CLI::App& command, Invocation& invocation) {
  command.add_flag("--json", invocation.json, "Print JSON, for scripts");
}

namespace {

void add_endpoint_option(CLI::App& command, const std::string& option, std::string& endpoint, const std::string& what) {
  command
      .add_option_function<std::string>(
          option,
          [option, &endpoint](const std::string& text) {
            const std::string_view place = text;
            if (!(place.starts_with("tcp://") && is_host_and_port(place.substr(6))) &&
                !(place.starts_with("ipc://") && place.size() > 6))
              throw CLI::ValidationError(option, "\"" + text + "\" is neither tcp://HOST:PORT nor ipc://PATH");
            endpoint = text;
          },
          what)
      ->type_name("ENDPOINT");
}

}  // namespace

void add_deadline_option(CLI::App& command, Invocation& invocation) {
  command
      .add_option_function<std::string>(
          "--deadline",
          [&invocation](const std::string& text) {
            const auto deadline = parse_duration(text);
            if (!deadline) throw CLI::ValidationError("--deadline", "\"" + text + "\" is no duration (5s, 500ms, 1m)");
            invocation.deadline = *deadline;
          },
          "How long to wait for an answer (default: 5s)")
      ->type_name("DURATION");
}

void add_broker_option(CLI::App& command, Invocation& invocation) {
  add_endpoint_option(command, "--broker", invocation.broker,
                      "Where the broker listens (default: [broker] listen of the config)");
}

void add_asking_options(CLI::App& command, Invocation& invocation) {
  add_json_option(command, invocation);
  add_broker_option(command, invocation);
  add_deadline_option(command, invocation);
}

void add_dispatcher_option(CLI::App& command, Invocation& invocation) {
  add_endpoint_option(command, "--dispatcher", invocation.dispatcher,
                      "Where the dispatcher listens (default: [dispatch] listen of the config)");
}

void add_task_options(CLI::App& command, Invocation& invocation) {
  add_json_option(command, invocation);
  add_dispatcher_option(command, invocation);
  add_deadline_option(command, invocation);
}

namespace {

std::string one_line(std::string text) {
  for (const std::string_view label : {"ValidationError: ", "RequiredError: "}) {
    if (text.starts_with(label)) text.erase(0, label.size());
  }
  if (const auto end = text.find('\n'); end != std::string::npos) text.resize(end);
  return text;
}

const CLI::App& deepest(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : deepest(*chosen.front());
}

std::optional<std::string> unknown_option(const CLI::App& app) {
  for (const std::string& text : app.remaining(true)) {
    if (text.size() > 1 && text.starts_with('-')) return text;
  }
  return std::nullopt;
}

std::string full_name(const CLI::App& command) {
  return command.get_parent() ? full_name(*command.get_parent()) + " " + command.get_name() : command.get_name();
}

/// Where "--" ends what is ours, which is so for `run` alone: its command's options are its own affair.
std::vector<std::string>::const_iterator own_end(const std::vector<std::string>& arguments) {
  auto name = arguments.begin();
  while (name != arguments.end() && name->starts_with('-'))
    name += *name == "--config" && name + 1 != arguments.end() ? 2 : 1;
  return name != arguments.end() && *name == "run" ? std::find(name, arguments.end(), "--") : arguments.end();
}

}  // namespace

std::vector<std::string> command_behind(const std::string& program) {
  const std::string name = program.substr(program.rfind('/') + 1);
  if (name == "provision-worker") return {"worker", "provision"};
  if (name == "worker-status") return {"worker", "status"};
  return {};
}

int detent_command(const std::vector<std::string>& arguments, std::istream& in, std::ostream& out, std::ostream& err,
                   std::string program) {
  google::protobuf::SetLogHandler(nullptr);  // what it would print is an error of ours already
  Invocation invocation(in, out, err, std::move(program));
  CLI::App app{
      "Detent holds every signal of an autonomous agent until it has been delivered to the place where it belongs.",
      "detent"};
  app.set_version_flag("--version", std::string("detent ") + kVersion);
  app.add_option("--config", invocation.config_file,
                 "detent.toml to read (else $DETENT_CONFIG, ./detent.toml, /etc/detent/detent.toml)")
      ->type_name("FILE");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. `detent COMMAND --help` shows examples.");
  for (const auto add :
       {add_publish, add_run, add_hook, add_tail, add_status, add_trace, add_routes, add_config, add_reload, add_dead,
        add_channel, add_audit, add_submit, add_tasks, add_schedule, add_expect, add_inbox, add_mcp, add_worker}) {
    add(app, invocation);
  }
  try {
    const auto end = own_end(arguments);
    if (end != arguments.end()) invocation.rest.assign(end + 1, arguments.end());
    std::vector<std::string> reversed(std::make_reverse_iterator(end), arguments.rend());
    app.parse(reversed);
    out.flush();
    if (out) return invocation.exit;
    err << full_name(deepest(app)) << ": cannot write to standard output\n";
    return invocation.exit == kDone ? kFailed : invocation.exit;
  } catch (const CLI::Success& asked) {
    app.exit(asked, out, err);
    return kDone;
  } catch (const CLI::ParseError& error) {
    const CLI::App& command = deepest(app);
    // An option that is not known is the likelier cause of one that is missing.
    const auto unknown = unknown_option(app);
    err << full_name(command) << ": " << (unknown ? "there is no option " + *unknown : one_line(error.what()))
        << " (see " << full_name(command) << " --help)\n";
    return kWrong;
  } catch (const Misconfigured& error) {
    err << error.what() << "\n";
    return kWrong;
  } catch (const Usage& error) {
    err << full_name(deepest(app)) << ": " << error.what() << " (see " << full_name(deepest(app)) << " --help)\n";
    return kWrong;
  } catch (const std::exception& error) {
    err << full_name(deepest(app)) << ": " << error.what() << "\n";
    return kFailed;
  }
}

}  // namespace detent
