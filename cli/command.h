// What every command of `detent` shares: where it reads and writes, the options that stand before or after its name,
// and how it ends.
#pragma once

#include <iosfwd>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/config.h"

namespace CLI {
class App;
}

namespace detent {

/// Done; failed; wrong usage or configuration.
enum Exit { kDone = 0, kFailed = 1, kWrong = 2 };

/// Wrong usage, in one readable line.
struct Usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// A config that does not load; a line for each problem, with its place.
struct Misconfigured : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One invocation. Commands read it in their callback, when all options are known.
struct Invocation {
  Invocation(std::istream& from, std::ostream& to, std::ostream& errors, std::string self)
      : in(from), out(to), err(errors), program(std::move(self)) {}

  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::string program;  // the path of `detent` itself, for what calls it later

  std::string config_file;        // --config
  std::string broker;             // --broker
  std::string dispatcher;         // --dispatcher
  Millis deadline{5000};          // --deadline
  bool json = false;              // --json
  std::vector<std::string> rest;  // what stands behind "--"
  int exit = kDone;               // what a command that ended without a Failure found

  /// The config, read once. Throws Misconfigured.
  const Config& config();
  /// Where the broker is asked: --broker, or where the config has it listen.
  std::string endpoint();
  /// Where the dispatcher is asked, likewise.
  std::string dispatcher_endpoint();

 private:
  std::optional<Config> config_;
};

/// `detent ARGUMENTS…`. Its exit code.
int detent_command(const std::vector<std::string>& arguments, std::istream& in, std::ostream& out, std::ostream& err,
                   std::string program);

/// What stands for `program`'s name, where it is one of those under which a command of `detent` is installed as well:
/// "provision-worker" is {"worker", "provision"}; nothing for any other.
std::vector<std::string> command_behind(const std::string& program);

/// Adds --json, --broker and --deadline, for commands that ask the broker.
void add_asking_options(CLI::App& command, Invocation& invocation);
/// The same for those that ask the dispatcher: --json, --dispatcher and --deadline.
void add_task_options(CLI::App& command, Invocation& invocation);
void add_json_option(CLI::App& command, Invocation& invocation);
void add_broker_option(CLI::App& command, Invocation& invocation);
void add_dispatcher_option(CLI::App& command, Invocation& invocation);
void add_deadline_option(CLI::App& command, Invocation& invocation);

// One for each command, in the file of its name. Each adds its subcommand to `app`.
void add_publish(CLI::App& app, Invocation& invocation);
void add_run(CLI::App& app, Invocation& invocation);
void add_hook(CLI::App& app, Invocation& invocation);
void add_tail(CLI::App& app, Invocation& invocation);
void add_status(CLI::App& app, Invocation& invocation);
void add_trace(CLI::App& app, Invocation& invocation);
void add_routes(CLI::App& app, Invocation& invocation);
void add_config(CLI::App& app, Invocation& invocation);
void add_reload(CLI::App& app, Invocation& invocation);
void add_dead(CLI::App& app, Invocation& invocation);
void add_channel(CLI::App& app, Invocation& invocation);
void add_audit(CLI::App& app, Invocation& invocation);
void add_submit(CLI::App& app, Invocation& invocation);
void add_tasks(CLI::App& app, Invocation& invocation);
void add_schedule(CLI::App& app, Invocation& invocation);
void add_expect(CLI::App& app, Invocation& invocation);
void add_inbox(CLI::App& app, Invocation& invocation);
void add_mcp(CLI::App& app, Invocation& invocation);
void add_worker(CLI::App& app, Invocation& invocation);

}  // namespace detent
