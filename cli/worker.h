// What the commands under `detent worker` that look after the machine have alike.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/provision/api.h"
#include "cli/provision/config.h"
#include "cli/provision/ssh.h"
#include "http/client.h"

namespace detent {

// One for each command under `detent worker`, in the file of its name.
void add_worker_provision(CLI::App& worker, Invocation& invocation);
void add_worker_status(CLI::App& worker, Invocation& invocation);
void add_worker_destroy(CLI::App& worker, Invocation& invocation);

/// Which worker, and how it is reached; empty: as [digitalocean] says it.
struct WorkerOptions {
  std::string name;
  std::filesystem::path ssh_key;
  std::string prefix;
  int ssh_port = 22;
};
void add_worker_options(CLI::App& command, WorkerOptions& options);

/// DigitalOcean, as configured.
struct Cloud {
  provision::Settings settings;  // with what the options say
  std::unique_ptr<http::HttpClient> client;
  std::unique_ptr<provision::Time> time;
  std::unique_ptr<provision::Api> api;  // nullptr: there is no token
};
/// Throws Failure where the token's file cannot be read, and where there is none that `needs_token`.
Cloud open_cloud(Invocation& invocation, const WorkerOptions& options, bool needs_token,
                 std::function<void(const std::string&)> told = {});

/// How a droplet is reached by ssh.
provision::SshTarget target_of(const Cloud& cloud, const WorkerOptions& options, const provision::Droplet& droplet,
                               const std::filesystem::path& known_hosts);
/// The one droplet of the worker's name that was made here. An error where there is none, or more.
Result<provision::Droplet> find_worker(Cloud& cloud);

}  // namespace detent
