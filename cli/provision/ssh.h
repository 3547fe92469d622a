// Commands on the worker, by the `ssh` program as a child with a deadline. What is secret goes by its standard input.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/child.h"
#include "base/clock.h"
#include "base/result.h"

namespace detent::provision {

struct SshTarget {
  std::string address;
  int port = 22;
  std::string user = "root";
  std::filesystem::path key;          // private
  std::filesystem::path known_hosts;  // of its own
  std::string alias;                  // under which the host's key is kept there: one for each droplet
};

/// The command line that runs `remote` there. Where the host's key is not yet known (`pinned` false) the first one is
/// accepted and kept; afterwards no other is.
std::vector<std::string> ssh_command(const SshTarget& target, std::string_view remote, bool pinned);

/// One thread.
class Ssh {
 public:
  explicit Ssh(SshTarget target) : target_(std::move(target)) {}

  struct Command {
    std::string remote;      // for the login shell there
    std::string input = {};  // its standard input
    Millis deadline{30'000};
    std::function<void(std::string_view)> line = {};  // hears each line of its output as it comes
  };
  /// How it ended. An error where there was no connection, the host's key is not the one known, or the time was up;
  /// what the command itself came to is in the exit.
  Result<Child::Exit> run(Command command) const;
  /// The same, and an exit code other than 0 is an error too: "WHAT on ADDRESS failed: …".
  Result<std::string> must(const std::string& what, Command command) const;

  const SshTarget& target() const { return target_; }

 private:
  SshTarget target_;
};

/// Whether `known_hosts` has a key under this alias.
bool is_pinned(const std::filesystem::path& known_hosts, std::string_view alias);

/// The public half of a private key: FILE.pub where it is there, else from the key itself, which must have no
/// passphrase then. The error says what to do.
Result<std::string> public_half(const std::filesystem::path& key);

}  // namespace detent::provision
