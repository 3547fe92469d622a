// [dispatch] and [digitalocean] in detent.toml: read, and so checked, before the stations are
// there that will own them.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/secret.h"

namespace detent {

class Section;

struct DispatchConfig {
  std::string listen = "tcp://127.0.0.1:7410";
  Millis fallback_after = std::chrono::seconds{60};
  bool operator==(const DispatchConfig&) const = default;
};

struct DigitalOceanConfig {
  std::string api = "https://api.digitalocean.com/v2";
  Secret token{{}, "DO_API_TOKEN"};
  bool operator==(const DigitalOceanConfig&) const = default;
};

struct TasksConfig {
  DispatchConfig dispatch;
  DigitalOceanConfig digitalocean;

  void read(Section& file);
  bool operator==(const TasksConfig&) const = default;
};

}  // namespace detent
