#include "cli/worker.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "cli/provision/plan.h"
#include "cli/provision/state.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

/// The key that ssh itself would take first.
fs::path default_key() {
  const char* home = std::getenv("HOME");
  const fs::path folder = fs::path(home ? home : "/root") / ".ssh";
  std::error_code none;
  return fs::exists(folder / "id_ed25519", none) || !fs::exists(folder / "id_rsa", none) ? folder / "id_ed25519"
                                                                                         : folder / "id_rsa";
}

}  // namespace

void add_worker_options(CLI::App& command, WorkerOptions& options) {
  command.add_option("--name", options.name, "The worker (default: [digitalocean] name, pawl-worker-1)")
      ->type_name("NAME");
  command
      .add_option("--ssh-key", options.ssh_key,
                  "The private key (default: [digitalocean] ssh_key, else ~/.ssh/id_ed25519)")
      ->type_name("FILE");
  command.add_option("--ssh-port", options.ssh_port, "Where sshd listens there")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  command.add_option("--prefix", options.prefix, "Everything there lies below this folder in place of /")
      ->type_name("DIR");
}

Cloud open_cloud(Invocation& invocation, const WorkerOptions& options, bool needs_token,
                 std::function<void(const std::string&)> told) {
  Cloud cloud{.settings = invocation.config().of<provision::Settings>()};
  provision::Settings& settings = cloud.settings;
  if (!options.name.empty()) settings.name = options.name;
  if (!options.ssh_key.empty()) settings.ssh_key = options.ssh_key;
  if (settings.ssh_key.empty()) settings.ssh_key = default_key();
  cloud.time = std::make_unique<provision::SystemTime>();
  if (!settings.token.configured()) {
    if (!needs_token) return cloud;
    throw Failure("there is no DigitalOcean token: set [digitalocean] token_file, or DO_API_TOKEN");
  }
  settings.token.refresh().value();
  cloud.client = std::make_unique<http::KeepAliveClient>();
  cloud.api = std::make_unique<provision::Api>(
      *cloud.client, *cloud.time,
      provision::Api::Options{.base = settings.api, .token = settings.token.reveal(), .told = std::move(told)});
  return cloud;
}

provision::SshTarget target_of(const Cloud& cloud, const WorkerOptions& options, const provision::Droplet& droplet,
                               const fs::path& known_hosts) {
  return {.address = droplet.address,
          .port = options.ssh_port,
          .key = cloud.settings.ssh_key,
          .known_hosts = known_hosts,
          .alias = provision::host_alias(droplet.id)};
}

Result<provision::Droplet> find_worker(Cloud& cloud) {
  using Kind = provision::Standing::Kind;
  const std::string& name = cloud.settings.name;
  auto by_name = cloud.api->droplets_named(name);
  if (!by_name) return by_name.error();
  auto by_tag = cloud.api->droplets_tagged(cloud.settings.tag);
  if (!by_tag) return by_tag.error();
  const provision::Standing standing =
      provision::standing_of({.name = name, .tag = cloud.settings.tag}, std::move(*by_name), *by_tag);
  switch (standing.kind) {
    case Kind::kOne:
      return standing.found[0];
    case Kind::kSeveral:
      return Error{
          fmt::format("{} droplets are called {}: {}", standing.found.size(), name, provision::tell(standing.found))};
    case Kind::kForeign:
      return Error{
          fmt::format("the droplet {} does not carry the tag {}: it was not made here", name, cloud.settings.tag)};
    case Kind::kNone:
      break;
  }
  return Error{fmt::format("there is no droplet {}: `detent worker provision` makes it", name), 404};
}

void add_worker(CLI::App& app, Invocation& invocation) {
  auto* worker = app.add_subcommand("worker", "The machine that runs tasks: make it, look after it, give it up");
  worker->require_subcommand(1);
  add_worker_provision(*worker, invocation);
  add_worker_status(*worker, invocation);
  add_worker_destroy(*worker, invocation);
}

}  // namespace detent
