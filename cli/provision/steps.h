// Making a worker, step by step; each looks first whether it is done, so that a second run changes nothing.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/provision/api.h"
#include "cli/provision/plan.h"
#include "cli/provision/ssh.h"
#include "cli/provision/state.h"
#include "cli/provision/waiting.h"

namespace detent::provision {

/// What is wanted, as the options say it.
struct Wanted {
  Order order;
  std::filesystem::path ssh_key;
  int ssh_port = 22;
  std::string prefix;  // below it in place of /
  bool skip_packages = false;
  std::string connect, broker;                   // of the worker's config; empty: its own defaults
  std::string node, openclaw;                    // versions; empty: those of worker-setup
  std::optional<std::filesystem::path> package;  // the tarball of script/package-worker
  std::optional<std::filesystem::path> github;   // pawl-github.env
  std::vector<std::pair<std::string, std::filesystem::path>> secrets;
  std::string snapshot_of;  // a droplet's name or id; empty: no snapshot
  bool yes = false;         // asks nothing

  Patience active{.longest = std::chrono::minutes(10)};
  Patience ssh{.longest = std::chrono::minutes(5)};
  Patience first_boot{.longest = std::chrono::minutes(15)};
  Patience listed{.longest = std::chrono::seconds(60), .between = std::chrono::seconds(5)};
  Patience snapshot{.longest = std::chrono::hours(2), .between = std::chrono::seconds(10)};
  Millis setup{std::chrono::minutes(45)};
};

/// One run. Throws Failure with what went wrong. `files`: nullptr for a dry run, which reads, prints what it would
/// change, and changes nothing.
class Steps {
 public:
  Steps(Wanted wanted, Api& api, Time& time, WorkerFiles* files, std::istream& in, std::ostream& out)
      : wanted_(std::move(wanted)), api_(api), time_(time), files_(files), in_(in), out_(out) {}

  void run();

 private:
  /// What the account has of what is wanted.
  struct Found {
    std::optional<AccountKey> key;
    std::optional<Droplet> droplet;
    std::optional<Droplet> to_snapshot;
  };

  Found look(const std::string& public_key);
  std::optional<Droplet> existing();
  std::optional<Droplet> single(const Standing& standing) const;
  Result<Standing> standing();
  Droplet find_by_name_or_id(const std::string& wanted);
  void show(const Found& found, const std::string& public_key) const;
  void show_setup(const std::string& address) const;
  bool agreed(const Found& found) const;

  void take_snapshot(const Droplet& of);
  AccountKey add_key(const std::string& public_key);
  Droplet create(std::int64_t key);
  Droplet until_active(const Droplet& droplet);
  void until_reached(const Ssh& ssh);
  void until_booted(const Ssh& ssh);
  void send_files(const Ssh& ssh);
  void send(const Ssh& ssh, const std::string& path, int mode, std::string content);
  void set_up(const Ssh& ssh);
  std::string setup_command() const;
  std::string at(std::string_view path) const { return wanted_.prefix + std::string(path); }
  SshTarget target(const Droplet& droplet) const;

  Wanted wanted_;
  Api& api_;
  Time& time_;
  WorkerFiles* files_;
  std::istream& in_;
  std::ostream& out_;
};

/// A whole file. Throws Failure.
std::string content_of(const std::filesystem::path& file);
/// Prints the question; true for "y" or "yes". Throws Failure where nobody answers.
bool asked(const std::string& question, std::istream& in, std::ostream& out);

}  // namespace detent::provision
