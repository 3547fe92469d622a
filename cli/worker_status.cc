#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cli/git.h"
#include "cli/provision/health.h"
#include "cli/provision/plan.h"
#include "cli/provision/state.h"
#include "cli/provision/texts.h"
#include "cli/text.h"
#include "cli/worker.h"
#include "ledger/config.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

struct Options : WorkerOptions {
  std::string worker;  // its name in worker/HEARTBEAT.md
};

Result<std::map<std::string, std::vector<std::string>>> report_of(const provision::Ssh& ssh,
                                                                  const std::string& prefix) {
  const auto said = ssh.must("worker-report", {.remote = "sh -s " + provision::shell_word(prefix.empty() ? "" : prefix),
                                               .input = std::string(provision::worker_report())});
  if (!said) return said.error();
  return provision::parse_report(*said);
}

/// Nothing where the ledger has no such branch.
std::optional<Result<Millis>> heartbeat_of(const fs::path& repository, const std::string& worker) {
  if (!fs::exists(repository / "HEAD")) return std::nullopt;
  if (git(repository.string(), {"for-each-ref", "refs/heads/detent/tasks"}).empty()) return std::nullopt;
  if (git(repository.string(), {"ls-tree", "detent/tasks", "worker/HEARTBEAT.md"}).empty())
    return Result<Millis>(Error{"detent/tasks has no worker/HEARTBEAT.md: no worker was heard yet"});
  return provision::heartbeat_in(git(repository.string(), {"show", "detent/tasks:worker/HEARTBEAT.md"}), worker);
}

void print(std::ostream& out, const std::string& name, const std::vector<provision::Check>& checks) {
  std::vector<std::vector<std::string>> rows;
  for (const provision::Check& check : checks) {
    const char* mark = check.name.empty()                              ? ""
                       : check.verdict == provision::Verdict::kOk      ? "ok"
                       : check.verdict == provision::Verdict::kUnknown ? "?"
                                                                       : "BAD";
    rows.push_back({mark, check.name, check.detail});
  }
  print_table(out, rows);
  out << name << (provision::is_healthy(checks) ? " is healthy\n" : " is not healthy\n");
}

void show(Invocation& invocation, const Options& options) {
  Cloud cloud = open_cloud(invocation, options, false);
  const std::string& name = cloud.settings.name;
  provision::Sight sight;
  if (cloud.api) sight.droplet = find_worker(cloud);
  if (sight.droplet && *sight.droplet && !(**sight.droplet).address.empty()) {
    const provision::Ssh ssh(
        target_of(cloud, options, **sight.droplet, invocation.config().state / "workers" / "known_hosts"));
    sight.report = report_of(ssh, options.prefix);
  }
  sight.heartbeat =
      heartbeat_of(invocation.config().of<LedgerConfig>().repository, options.worker.empty() ? name : options.worker);
  const auto checks = provision::judge(sight, system_now().wall);
  if (invocation.json) {
    invocation.out << boost::json::serialize(provision::health_json(name, checks)) << "\n";
  } else {
    print(invocation.out, name, checks);
  }
  invocation.exit = provision::is_healthy(checks) ? kDone : kFailed;
}

}  // namespace

void add_worker_status(CLI::App& worker, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* command =
      worker.add_subcommand("status", "How the worker is: droplet, ssh, versions, service, crontab, heartbeat");
  add_worker_options(*command, *options);
  command->add_option("--worker", options->worker, "Its name in worker/HEARTBEAT.md (default: the droplet's)")
      ->type_name("NAME");
  add_json_option(*command, invocation);
  command->footer("Exit codes: 0 healthy, 1 not, 2 wrong usage or configuration.");
  command->callback([&invocation, options] { show(invocation, *options); });
}

}  // namespace detent
