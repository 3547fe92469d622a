#include "tests/house/machine.h"

#include <sys/stat.h>

#include <fstream>

#include "base/result.h"
#include "tests/house/house.h"
#include "tests/support/eventually.h"

namespace detent::house {

namespace fs = std::filesystem;

namespace {

void make_key(const fs::path& file) {
  fs::remove(file);
  fs::remove(file.string() + ".pub");
  const Ended made = run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of a test", "-f", file.string()});
  if (made.code != 0) throw Failure("ssh-keygen: " + made.output);
}

}  // namespace

Machine::Machine(const fs::path& folder) : folder_(folder / "machine"), port_(free_port()) {
  fs::create_directories(root());
  fs::create_directories(folder_ / "bin");
  fs::create_directories("/run/sshd");  // where sshd, as root, wants to be shut in before anyone has said who he is
  make_key(key());
  make_key(folder_ / "host_key");
  fs::copy_file(key().string() + ".pub", folder_ / "authorized_keys");
  const std::string marker = (root() / "var/lib/detent-worker/first-boot").string();
  script("cloud-init", "mkdir -p " + fs::path(marker).parent_path().string() + "; touch " + marker + "; exit 2\n");
  script("systemctl", "echo \"$*\" >>" + (folder_ / "systemctl.log").string() + "\ncase $1 in\n  is-active) cat " +
                          (folder_ / "service").string() +
                          " ;;\n  is-enabled) echo disabled ;;\n  stop) echo inactive >" +
                          (folder_ / "service").string() + " ;;\nesac\n");
  for (const char* name : {"node", "openclaw", "detent-worker"})
    script(name, std::string("echo \"") + name + " of a test\"\n");
  set_service("inactive");
  std::ofstream(folder_ / "sshd_config") << "Port " << port_ << "\nListenAddress 127.0.0.1\nHostKey "
                                         << (folder_ / "host_key").string() << "\nAuthorizedKeysFile "
                                         << (folder_ / "authorized_keys").string()
                                         << "\nStrictModes no\nPidFile none\nUsePAM no\nPasswordAuthentication no\n"
                                         << "PermitRootLogin prohibit-password\nSetEnv PATH="
                                         << (folder_ / "bin").string()
                                         << ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";
  start();
}

void Machine::start() {
  sshd_ = std::make_unique<Child>(
      Child::Options{.arguments = {"/usr/sbin/sshd", "-D", "-e", "-f", (folder_ / "sshd_config").string()},
                     .log = folder_ / "sshd.log"});
  const bool ready = eventually(
      [&] { return !sshd_->running() || read_whole(sshd_->log()).find("Server listening") != std::string::npos; });
  if (!ready || !sshd_->running()) throw Failure("sshd does not start: " + read_whole(folder_ / "sshd.log"));
}

void Machine::stop() { sshd_->kill(); }

void Machine::change_host_key() {
  stop();
  make_key(folder_ / "host_key");
  fs::remove(folder_ / "sshd.log");
  start();
}

void Machine::script(const std::string& name, const std::string& body) const {
  const fs::path file = folder_ / "bin" / name;
  std::ofstream(file) << "#!/bin/sh\n" << body;
  fs::permissions(file, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
}

std::string Machine::read(std::string_view path) const { return read_whole(root() / path); }
void Machine::set_service(std::string_view state) const { std::ofstream(folder_ / "service") << state << "\n"; }
std::string Machine::asked_of_systemd() const { return read_whole(folder_ / "systemctl.log"); }

}  // namespace detent::house
