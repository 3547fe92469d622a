// A machine to make a worker of: a real sshd on loopback with keys of its own, everything below a folder of its own.
// systemd and cloud-init, which a test's machine need not have, are small scripts that it finds first in PATH.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "tests/house/child.h"

namespace detent::house {

class Machine {
 public:
  /// sshd answers. The folder is below `folder`.
  explicit Machine(const std::filesystem::path& folder);

  int port() const { return port_; }
  /// The client's private key, which it takes; its public half is beside it.
  std::filesystem::path key() const { return folder_ / "client_key"; }
  /// What stands for "/".
  std::filesystem::path root() const { return folder_ / "root"; }
  /// The file there, whole.
  std::string read(std::string_view path) const;

  /// openclaw-worker's state, as systemctl tells it.
  void set_service(std::string_view state) const;
  /// What systemctl was asked, a line each.
  std::string asked_of_systemd() const;
  /// sshd starts anew, with another host key.
  void change_host_key();
  void stop();

 private:
  void start();
  void script(const std::string& name, const std::string& body) const;

  std::filesystem::path folder_;
  int port_ = 0;
  std::unique_ptr<Child> sshd_;
};

}  // namespace detent::house
