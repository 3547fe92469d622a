// [dispatch], [worker], [runner.NAME] and [digitalocean] in detent.toml: read, and so checked, before the stations are
// there that will own them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace detent {

class Section;

struct DispatchConfig {
  std::string listen = "tcp://127.0.0.1:7410";
  Millis fallback_after = std::chrono::seconds{60};
  bool operator==(const DispatchConfig&) const = default;
};

struct WorkerConfig {
  std::string name;
  std::string connect = "tcp://127.0.0.1:7410";
  uint32_t concurrency = 1;
  bool operator==(const WorkerConfig&) const = default;
};

struct RunnerConfig {
  std::vector<std::string> command;
  bool operator==(const RunnerConfig&) const = default;
};

struct DigitalOceanConfig {
  std::string api = "https://api.digitalocean.com/v2";
  Secret token{{}, "DO_API_TOKEN"};
  bool operator==(const DigitalOceanConfig&) const = default;
};

struct TasksConfig {
  DispatchConfig dispatch;
  WorkerConfig worker;
  std::map<std::string, RunnerConfig, std::less<>> runners;
  DigitalOceanConfig digitalocean;

  void read(Section& file);
  bool operator==(const TasksConfig&) const = default;
};

}  // namespace detent
