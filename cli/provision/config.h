// [digitalocean] in detent.toml: where workers are made, and of what.
#pragma once

#include <filesystem>
#include <string>

#include "base/secret.h"

namespace detent {
class Section;
}

namespace detent::provision {

struct Settings {
  std::string api = "https://api.digitalocean.com/v2";
  Secret token{{}, "DO_API_TOKEN"};
  std::filesystem::path ssh_key;  // the private one; empty: ~/.ssh/id_ed25519, else ~/.ssh/id_rsa
  std::string name = "pawl-worker-1";
  std::string region = "nyc3";
  std::string size = "s-1vcpu-2gb";
  std::string image = "ubuntu-24-04-x64";
  std::string tag = "detent-worker";  // what says of a droplet that it was made here

  void read(Section& file);
  bool operator==(const Settings&) const = default;
};

}  // namespace detent::provision
