#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>

#include "base/child.h"
#include "cli/provision/steps.h"
#include "cli/worker.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

struct Options : WorkerOptions {
  provision::Wanted wanted;
  std::string region, size, image, package, github, crontab;
  std::vector<std::string> secrets;
  bool dry_run = false;
};

/// --package, else the one that script/package-worker left beside these programs.
std::optional<fs::path> package_of(const Options& options, const fs::path& program) {
  if (!options.package.empty()) return options.package;
  for (const auto& entry : fs::directory_iterator(program.parent_path().parent_path())) {
    const std::string name = entry.path().filename();
    if (name.starts_with("detent-worker-linux-") && name.ends_with(".tar.gz")) return entry.path();
  }
  return std::nullopt;
}

/// --github, else ./pawl-github.env where it is there.
std::optional<fs::path> github_of(const Options& options) {
  if (!options.github.empty()) return options.github;
  return fs::exists("pawl-github.env") ? std::optional<fs::path>("pawl-github.env") : std::nullopt;
}

/// "NAME=FILE" each.
std::vector<std::pair<std::string, fs::path>> secrets_of(const std::vector<std::string>& all) {
  std::vector<std::pair<std::string, fs::path>> out;
  for (const std::string& one : all) {
    const std::size_t equals = one.find('=');
    const std::string name = one.substr(0, equals);
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '_' || c == '-';
    });
    if (equals == one.npos || !plain || equals + 1 == one.size())
      throw Usage("--secret is NAME=FILE, the name of letters, digits, _ and -");
    out.emplace_back(name, one.substr(equals + 1));
  }
  return out;
}

/// This user's cron table; empty where there is none, or no cron.
std::string crontab_of(const Options& options) {
  if (!options.crontab.empty()) return provision::content_of(options.crontab);
  auto child = Child::start({.command = {"crontab", "-l"}, .deadline = Millis(5'000)}, system_now().mono);
  if (!child) return {};
  const Child::Exit exit = child->wait();
  return exit.code == 0 ? exit.out : std::string();
}

void provision_worker(Invocation& invocation, Options& options) {
  const auto told = [&invocation](const std::string& request) { invocation.out << "  sends " << request << std::endl; };
  Cloud cloud =
      open_cloud(invocation, options, true, options.dry_run ? told : std::function<void(const std::string&)>());
  const provision::Settings& settings = cloud.settings;
  provision::Wanted wanted = options.wanted;
  const auto or_else = [](const std::string& given, const std::string& otherwise) {
    return given.empty() ? otherwise : given;
  };
  wanted.order = {.name = settings.name,
                  .region = or_else(options.region, settings.region),
                  .size = or_else(options.size, settings.size),
                  .image = or_else(options.image, settings.image),
                  .tag = settings.tag};
  if (const auto fits = provision::check_order(wanted.order); !fits) throw Usage(fits.error().what);
  wanted.ssh_key = settings.ssh_key;
  wanted.ssh_port = options.ssh_port;
  wanted.prefix = options.prefix;
  wanted.package = package_of(options, invocation.program);
  wanted.github = github_of(options);
  wanted.secrets = secrets_of(options.secrets);
  if (!wanted.package)
    invocation.out
        << "no package of Detent's programs is at hand (script/package-worker makes it): those on the worker stay\n";

  std::optional<provision::WorkerFiles> files;
  if (!options.dry_run) files.emplace(invocation.config().state, settings.name);
  provision::Steps(std::move(wanted), *cloud.api, *cloud.time, files ? &*files : nullptr, invocation.in, invocation.out)
      .run();
  invocation.out << provision::migration_checklist(settings.name, provision::jobs_of(crontab_of(options)));
}

}  // namespace

void add_worker_provision(CLI::App& worker, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  provision::Wanted& wanted = options->wanted;
  auto* command =
      worker.add_subcommand("provision", "Make the worker's droplet and set it up; a second run changes nothing");
  add_worker_options(*command, *options);
  command->add_option("--region", options->region, "(default: [digitalocean] region, nyc3)")->type_name("SLUG");
  command->add_option("--size", options->size, "(default: [digitalocean] size, s-1vcpu-2gb)")->type_name("SLUG");
  command->add_option("--image", options->image, "(default: [digitalocean] image, ubuntu-24-04-x64)")
      ->type_name("SLUG");
  command
      ->add_option("--package", options->package,
                   "Tarball of script/package-worker (default: the one beside these programs)")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--github", options->github,
                   "GITHUB_TOKEN, _USER, _EMAIL and _REPO of the workspace (default: ./pawl-github.env)")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--secret", options->secrets, "A secret for runners, sent to /etc/detent/secrets/NAME (mode 0600)")
      ->type_name("NAME=FILE");
  command->add_option("--connect", wanted.connect, "Where the worker finds the dispatcher")->type_name("ENDPOINT");
  command
      ->add_option("--broker", wanted.broker,
                   "Where it finds the broker; its cron then sends heartbeat.ok every 5 minutes")
      ->type_name("ENDPOINT");
  command->add_option("--node", wanted.node, "Version of Node.js (default: 24.21.0)")->type_name("VERSION");
  command->add_option("--openclaw", wanted.openclaw, "Version of OpenClaw (default: 2026.9.6)")->type_name("VERSION");
  command->add_flag("--skip-packages", wanted.skip_packages,
                    "Install neither Debian packages nor Node.js nor OpenClaw there");
  command->add_option("--snapshot-first", wanted.snapshot_of, "Take a snapshot of this droplet before anything else")
      ->type_name("NAME|ID");
  command->add_option("--crontab", options->crontab, "Cron table for the checklist (default: this user's)")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_flag("--yes", wanted.yes, "Ask nothing, also where it costs");
  command->add_flag("--dry-run", options->dry_run, "Look, print every request, and change nothing");
  command->footer(
      "It looks before it asks: a droplet of this name is set up again, never made twice.\n"
      "The token: [digitalocean] token_file, or DO_API_TOKEN. Nothing secret is in the droplet's user data.\n"
      "  detent worker provision --dry-run\n"
      "  detent worker provision --snapshot-first pawl-main --connect tcp://10.108.0.3:7410 --yes");
  command->callback([&invocation, options] { provision_worker(invocation, *options); });
}

}  // namespace detent
