// [broker] in detent.toml.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "base/units.h"

namespace detent {

class Section;

/// Past either, a channel's oldest deliveries become dead letters.
struct BacklogLimit {
  uint64_t bytes = 1024 * kMiB;
  Millis age = std::chrono::hours{24 * 30};
  bool operator==(const BacklogLimit&) const = default;
};

struct BrokerConfig {
  std::string listen = "tcp://127.0.0.1:7400";
  std::string http = "127.0.0.1:7480";  // empty: no HTTP
  std::optional<Secret> http_token;
  std::string http_name;  // the host's name in requests, beside loopback's and the address itself
  uint64_t segment = 64 * kMiB;
  /// Publishers are refused while less than this is free on the state's disk.
  uint64_t low_water = 512 * kMiB;
  BacklogLimit max_backlog;
  uint32_t max_connections = 512;

  void read(Section& file);
  bool operator==(const BrokerConfig&) const = default;
};

}  // namespace detent
