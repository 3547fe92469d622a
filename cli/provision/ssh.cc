#include "cli/provision/ssh.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "cli/text.h"

namespace detent::provision {

namespace {

constexpr int kNoConnection = 255;  // ssh(1): an error of its own

std::string last_line(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  const std::size_t begin = text.rfind('\n');
  return plain(begin == text.npos ? text : text.substr(begin + 1));
}

}  // namespace

std::vector<std::string> ssh_command(const SshTarget& target, std::string_view remote, bool pinned) {
  const auto option = [](std::string_view name, std::string_view value) { return fmt::format("-o{}={}", name, value); };
  return {"ssh",
          "-T",
          option("BatchMode", "yes"),
          option("ConnectTimeout", "10"),
          option("ServerAliveInterval", "15"),
          option("ServerAliveCountMax", "4"),
          option("IdentitiesOnly", "yes"),
          option("HostKeyAlias", target.alias),
          option("UserKnownHostsFile", "\"" + target.known_hosts.string() + "\""),
          option("GlobalKnownHostsFile", "/dev/null"),
          option("StrictHostKeyChecking", pinned ? "yes" : "accept-new"),
          option("LogLevel", "ERROR"),
          "-i",
          target.key.string(),
          "-p",
          std::to_string(target.port),
          target.user + "@" + target.address,
          std::string(remote)};
}

bool is_pinned(const std::filesystem::path& known_hosts, std::string_view alias) {
  std::string line;
  for (std::ifstream in(known_hosts); std::getline(in, line);) {
    if (line.starts_with(std::string(alias) + " ")) return true;
  }
  return false;
}

Result<Child::Exit> Ssh::run(Command command) const {
  std::string unfinished;
  Child::Options options{
      .command = ssh_command(target_, command.remote, is_pinned(target_.known_hosts, target_.alias)),
      .input = std::move(command.input),
      .deadline = command.deadline,
  };
  if (command.line) {
    options.each = [&unfinished, &line = command.line](Child::Stream stream, std::string_view piece) {
      if (stream != Child::Stream::out) return;
      unfinished += piece;
      for (std::size_t end; (end = unfinished.find('\n')) != unfinished.npos; unfinished.erase(0, end + 1))
        line(std::string_view(unfinished).substr(0, end));
    };
  }
  auto child = Child::start(std::move(options), system_now().mono);
  if (!child) {
    if (child.error().code == ENOENT) return Error{"there is no program `ssh` here: install openssh-client", ENOENT};
    return child.error();
  }
  Child::Exit exit = child->wait();
  if (command.line && !unfinished.empty()) command.line(unfinished);
  const std::string where = target_.user + "@" + target_.address;
  if (exit.timed_out)
    return Error{fmt::format("ssh to {} did not end within {}", where, roughly(command.deadline)), ETIMEDOUT};
  if (exit.code != kNoConnection) return exit;
  if (exit.err.find("HOST IDENTIFICATION HAS CHANGED") != exit.err.npos ||
      exit.err.find("Host key verification failed") != exit.err.npos) {
    return Error{
        fmt::format(
            "{} does not have the host key that it had when it was made: it is another machine, or somebody is in "
            "between. If you know why, take {} out of {}",
            where, target_.alias, target_.known_hosts.string()),
        EPERM};
  }
  if (exit.err.find("Permission denied") != exit.err.npos)
    return Error{fmt::format("{} refuses the key {}: {}", where, target_.key.string(), last_line(exit.err)), EACCES};
  return Error{fmt::format("no ssh connection to {}: {}", where, last_line(exit.err)), ENOTCONN};
}

Result<std::string> Ssh::must(const std::string& what, Command command) const {
  auto exit = run(std::move(command));
  if (!exit) return exit.error();
  if (exit->code == 0) return std::move(exit->out);
  const std::string& said = exit->err.empty() ? exit->out : exit->err;
  return Error{fmt::format("{} on {} failed (exit code {}): {}", what, target_.address, exit->code, last_line(said))};
}

Result<std::string> public_half(const std::filesystem::path& key) {
  struct stat about;
  if (stat(key.c_str(), &about) != 0)
    return Error{
        fmt::format("there is no SSH key {}: make one with `ssh-keygen -t ed25519 -f {}`, or name yours with --ssh-key",
                    key.string(), key.string())};
  if (about.st_mode & 077)
    return Error{fmt::format("the SSH key {} can be read by others, so ssh will not use it: chmod 600 {}", key.string(),
                             key.string())};
  if (std::ifstream in(key.string() + ".pub"); in) {
    std::string line;
    if (std::getline(in, line) && !line.empty()) return line;
  }
  auto child = Child::start({.command = {"ssh-keygen", "-y", "-P", "", "-f", key.string()}, .deadline = Millis(10'000)},
                            system_now().mono);
  if (!child) return Error{"ssh-keygen: " + child.error().what + "; install openssh-client"};
  Child::Exit exit = child->wait();
  if (exit.code != 0)
    return Error{fmt::format("{} is no private SSH key without a passphrase, and there is no {}.pub beside it: {}",
                             key.string(), key.string(), last_line(exit.err))};
  if (exit.out.ends_with('\n')) exit.out.pop_back();
  return exit.out;
}

}  // namespace detent::provision
