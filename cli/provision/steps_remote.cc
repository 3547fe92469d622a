#include <fmt/format.h>
#include <openssl/evp.h>

#include <cerrno>
#include <ostream>

#include "cli/provision/steps.h"
#include "cli/provision/texts.h"
#include "cli/text.h"

namespace detent::provision {

namespace {

constexpr std::string_view kFolder = "/var/lib/detent-worker";
constexpr Millis kUpload = std::chrono::minutes(15);

[[noreturn]] void fail(const std::string& what) { throw Failure(what); }

std::string sha256(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) == 1, "SHA-256 is part of OpenSSL");
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace

SshTarget Steps::target(const Droplet& droplet) const {
  return {.address = droplet.address,
          .port = wanted_.ssh_port,
          .key = wanted_.ssh_key,
          .known_hosts = files_->known_hosts(),
          .alias = host_alias(droplet.id)};
}

void Steps::until_reached(const Ssh& ssh) {
  std::string last;
  const auto there =
      wait_for("ssh to " + ssh.target().address, wanted_.ssh, time_, out_, [&]() -> Result<std::optional<std::string>> {
        const auto exit = ssh.run({.remote = "true", .deadline = std::chrono::seconds(20)});
        if (exit && exit->code == 0) return std::optional<std::string>("there");
        if (exit)
          return Error{fmt::format("the login shell of {} ends with exit code {}", ssh.target().address, exit->code)};
        // Refused keys too: the first boot may not have put ours in place yet.
        const int code = exit.error().code;
        if (code != ENOTCONN && code != ETIMEDOUT && code != EACCES) return exit.error();
        last = exit.error().what;
        return std::optional<std::string>();
      });
  if (!there) fail(there.error().what + (last.empty() ? "" : ": " + last));
}

void Steps::until_booted(const Ssh& ssh) {
  out_ << "  waiting for the first boot to end (cloud-init)" << std::endl;
  const std::string said =
      ssh.must("the wait for cloud-init",
               {.remote = "if command -v cloud-init >/dev/null 2>&1; then cloud-init status --wait >/dev/null 2>&1; "
                          "echo $?; else echo none; fi",
                .deadline = wanted_.first_boot.longest})
          .value();
  if (said == "none\n") {
    out_ << "  there is no cloud-init on " << ssh.target().address << ", so no first boot to wait for" << std::endl;
    return;
  }
  if (said == "2\n") {  // done, with warnings: since cloud-init 23.4
    out_ << "  cloud-init ended with warnings (`cloud-init status --long` there shows them)" << std::endl;
  } else if (said != "0\n") {
    fail(fmt::format("cloud-init failed on {}: see `cloud-init status --long` there", ssh.target().address));
  }
  const auto there =
      wait_for("the first boot's marker", wanted_.first_boot, time_, out_, [&]() -> Result<std::optional<std::string>> {
        const auto exit = ssh.run({.remote = "test -e " + shell_word(at(kFirstBootMarker))});
        if (!exit) return exit.error();
        return exit->code == 0 ? std::optional<std::string>("there") : std::nullopt;
      });
  if (!there) fail(there.error().what);
}

/// `content` becomes the file, where it is another. It goes by standard input: nothing of it is in a command line.
void Steps::send(const Ssh& ssh, const std::string& path, int mode, std::string content) {
  const std::string file = shell_word(path), folder = shell_word(path.substr(0, path.rfind('/')));
  const std::string remote = fmt::format(
      "set -e; (umask 022; mkdir -p {0}); umask 077; cat >{1}.new; chmod {2:o} {1}.new; "
      "if cmp -s {1}.new {1}; then rm {1}.new; echo ok; else mv -f {1}.new {1}; echo changed; fi",
      folder, file, mode);
  const std::string said =
      ssh.must("sending " + path, {.remote = remote, .input = std::move(content), .deadline = kUpload}).value();
  out_ << "  " << (said == "ok\n" ? "ok: " : "changed: ") << path << std::endl;
}

void Steps::send_files(const Ssh& ssh) {
  const std::string folder = at(kFolder);
  send(ssh, folder + "/worker-setup.sh", 0700, std::string(worker_setup()));
  send(ssh, folder + "/openclaw-worker.service", 0644, std::string(openclaw_worker()));
  if (wanted_.package) {
    std::string package = content_of(*wanted_.package);
    const std::string path = folder + "/detent-worker.tar.gz";
    const auto there =
        ssh.must("looking at the package", {.remote = "sha256sum " + shell_word(path) + " 2>/dev/null || true"})
            .value();
    if (there.starts_with(sha256(package))) {
      out_ << "  ok: " << path << std::endl;
    } else {
      send(ssh, path, 0644, std::move(package));
    }
  }
  if (wanted_.github) send(ssh, at("/etc/detent/pawl-github.env"), 0600, content_of(*wanted_.github));
  for (const auto& [name, file] : wanted_.secrets) send(ssh, at("/etc/detent/secrets/" + name), 0600, content_of(file));
}

std::string Steps::setup_command() const {
  const std::string folder = at(kFolder);
  std::string command = "bash " + shell_word(folder + "/worker-setup.sh");
  const auto option = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) command += " --" + std::string(name) + " " + shell_word(value);
  };
  option("name", wanted_.order.name);
  option("unit", folder + "/openclaw-worker.service");
  if (wanted_.package) option("package", folder + "/detent-worker.tar.gz");
  option("connect", wanted_.connect);
  option("broker", wanted_.broker);
  option("node", wanted_.node);
  option("openclaw", wanted_.openclaw);
  option("prefix", wanted_.prefix);
  if (wanted_.skip_packages) command += " --skip-packages";
  return command;
}

void Steps::set_up(const Ssh& ssh) {
  out_ << "setting up " << ssh.target().address << std::endl;
  ssh.must("worker-setup", {.remote = setup_command(),
                            .deadline = wanted_.setup,
                            .line = [&](std::string_view line) { out_ << "  " << plain(line) << std::endl; }})
      .value();
}

void Steps::show_setup(const std::string& address) const {
  out_ << "would wait until it is active, for ssh, for cloud-init, and for " << at(kFirstBootMarker) << "\n";
  const auto file = [&](const std::string& path, int mode, const std::string& from) {
    out_ << fmt::format("would send to root@{} by ssh: {} (mode {:o}) from {}\n", address, path, mode, from);
  };
  file(at(kFolder) + "/worker-setup.sh", 0700, "deploy/worker-setup.sh");
  file(at(kFolder) + "/openclaw-worker.service", 0644, "deploy/openclaw-worker.service");
  if (wanted_.package) file(at(kFolder) + "/detent-worker.tar.gz", 0644, wanted_.package->string());
  if (wanted_.github) file(at("/etc/detent/pawl-github.env"), 0600, wanted_.github->string());
  for (const auto& [name, from] : wanted_.secrets) file(at("/etc/detent/secrets/" + name), 0600, from.string());
  out_ << "would run there: " << setup_command() << "\n";
}

}  // namespace detent::provision
