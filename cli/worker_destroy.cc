#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <memory>
#include <ostream>

#include "base/units.h"
#include "cli/provision/plan.h"
#include "cli/provision/state.h"
#include "cli/provision/steps.h"
#include "cli/text.h"
#include "cli/worker.h"

namespace detent {

namespace {

struct Options : WorkerOptions {
  bool yes = false, dry_run = false;
  Millis drain{std::chrono::minutes(15)};
};

/// Stops the service, which lets attempts that run come to their end. True where nothing runs there any more.
bool drain(const provision::Ssh& ssh, Millis longest, std::ostream& out) {
  const auto state = ssh.run({.remote = "systemctl is-active openclaw-worker 2>/dev/null || true"});
  if (!state) {
    out << "not drained: " << state.error().what << "\n";
    return false;
  }
  if (!state->out.starts_with("active") && !state->out.starts_with("deactivating")) {
    out << "its service does not run (" << plain(state->out.empty() ? "unknown\n" : state->out)
        << "): nothing to drain\n";
    return true;
  }
  out << "draining: its service stops when what runs has ended (at most " << roughly(longest) << ")" << std::endl;
  const auto stopped =
      ssh.must("systemctl stop openclaw-worker", {.remote = "systemctl stop openclaw-worker", .deadline = longest});
  out << (stopped ? "drained" : "not drained: " + stopped.error().what) << "\n";
  return bool(stopped);
}

void destroy(Invocation& invocation, const Options& options) {
  Cloud cloud = open_cloud(invocation, options, true);
  std::ostream& out = invocation.out;
  const auto droplet = find_worker(cloud);
  if (!droplet && droplet.error().code == 404) {
    out << "there is no droplet " << cloud.settings.name << ": nothing to destroy\n";
    return;
  }
  droplet.value();
  out << fmt::format(
      "{}: droplet {}, ${:.2f}/month\nIts disk goes with it: workspace, results that were not sent, logs.\n",
      droplet->name, provision::tell({*droplet}), droplet->price_monthly);
  if (options.dry_run) {
    out << fmt::format("would drain it by ssh, then send DELETE {}; nothing was changed\n",
                       cloud.api->path_of("/droplets/" + std::to_string(droplet->id)));
    return;
  }
  const provision::WorkerFiles files(invocation.config().state, cloud.settings.name);
  if (!options.yes && !provision::asked("destroy it for good?", invocation.in, out))
    throw Failure("not confirmed; nothing was changed");
  if (!droplet->address.empty()) {
    const provision::Ssh ssh(target_of(cloud, options, *droplet, files.known_hosts()));
    if (!drain(ssh, options.drain, out) && !options.yes &&
        !provision::asked("destroy it all the same?", invocation.in, out))
      throw Failure("not confirmed; the droplet is still there");
  }
  const auto gone = cloud.api->destroy(droplet->id);
  if (!gone && !gone.error().maybe) throw Failure(gone.error().error.what);
  provision::wait_for("the droplet to be gone", {.longest = std::chrono::minutes(3)}, *cloud.time, out,
                      [&]() -> Result<std::optional<std::string>> {
                        const auto still = cloud.api->droplet(droplet->id);
                        if (still) return std::optional<std::string>();
                        if (still.error().code == 404) return std::optional<std::string>("gone");
                        return still.error();
                      })
      .value();
  files.forget();
  out << cloud.settings.name << " is destroyed; what it had taken comes back to the queue when its lease is over\n";
}

}  // namespace

void add_worker_destroy(CLI::App& worker, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* command = worker.add_subcommand("destroy", "Drain the worker, then destroy its droplet");
  add_worker_options(*command, *options);
  command->add_flag("--yes", options->yes, "Ask nothing, and destroy it also where it could not be drained");
  command->add_flag("--dry-run", options->dry_run, "Show what would go, and change nothing");
  command
      ->add_option_function<std::string>(
          "--drain-timeout",
          [options](const std::string& text) {
            const auto longest = parse_duration(text);
            if (!longest) throw CLI::ValidationError("--drain-timeout", "\"" + text + "\" is no duration (15m, 2h)");
            options->drain = *longest;
          },
          "How long what runs there may take to end (default: 15m)")
      ->type_name("DURATION");
  command->callback([&invocation, options] { destroy(invocation, *options); });
}

}  // namespace detent
