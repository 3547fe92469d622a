// [digitalocean] in detent.toml: read, and so checked, before the station is there that will own it.
#pragma once

#include <string>

#include "base/secret.h"

namespace detent {

class Section;

struct DigitalOceanConfig {
  std::string api = "https://api.digitalocean.com/v2";
  Secret token{{}, "DO_API_TOKEN"};
  bool operator==(const DigitalOceanConfig&) const = default;
};

struct TasksConfig {
  DigitalOceanConfig digitalocean;

  void read(Section& file);
  bool operator==(const TasksConfig&) const = default;
};

}  // namespace detent
