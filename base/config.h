// The whole of detent.toml as plain values. Every program reads the same file and looks at its own sections.
//
// Read once at start-up and again on a reload, by one thread; afterwards a value like any other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/channel_section.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace detent {

inline constexpr uint64_t kMiB = 1ull << 20;

struct LogConfig {
  std::string level = "info";
  std::string format = "text";
  bool operator==(const LogConfig&) const = default;
};

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
  bool operator==(const BrokerConfig&) const = default;
};

struct LedgerConfig {
  std::filesystem::path repository;  // default: ledger.git under `state`
  std::string remote;                // a git URL; empty: local only
  uint32_t pushes_per_minute = 6;
  Millis push_timeout = std::chrono::seconds{60};
  /// How long a commit waits for its signals' receipts.
  Millis receipts_within = std::chrono::seconds{2};
  /// Types gathered into one commit each `gather_every`.
  std::vector<std::string> gather{"heartbeat.ok"};
  Millis gather_every = std::chrono::hours{1};
  /// Publishers are refused while the ledger lags the journal by more than this.
  uint64_t max_lag = 4096 * kMiB;
  std::string author_name = "Detent";
  std::string author_email = "detent@localhost";
  bool operator==(const LedgerConfig&) const = default;
};

struct LabelMatch {
  std::string key, value;  // `value` is a glob
  bool operator==(const LabelMatch&) const = default;
};

/// What a [[route]] asks of a signal; what is not set does not matter.
struct RouteMatch {
  std::vector<std::string> types;  // globs, one of which must fit
  int severity = 0;
  bool severity_exact = false;
  std::string source;  // a glob; empty: any
  std::vector<LabelMatch> labels;
  std::optional<bool> needs_response;
  bool operator==(const RouteMatch&) const = default;
};

struct RouteConfig {
  RouteMatch match;
  std::vector<std::string> to;  // "telegram", "discord.alerts"
  bool continues = false;
  std::string at;  // "detent.toml:12:3", for messages
  bool operator==(const RouteConfig& other) const {
    return match == other.match && to == other.to && continues == other.continues;
  }
};

struct RoutesConfig {
  /// What needs a response goes here.
  std::string operator_channel = "telegram";
  std::string operator_at;  // here and below: empty where the file does not say
  /// Alarms about that channel itself go here.
  std::vector<std::string> operator_alarms_to{"discord.alerts"};
  std::string operator_alarms_at;
  std::vector<std::string> default_to{"discord.system"};
  std::string default_at;
  /// False: signals go where `routes` says, and nowhere else.
  bool builtin_routes = true;
  std::vector<RouteConfig> routes;
  bool operator==(const RoutesConfig& other) const {
    return operator_channel == other.operator_channel && operator_alarms_to == other.operator_alarms_to &&
           default_to == other.default_to && builtin_routes == other.builtin_routes && routes == other.routes;
  }
};

/// Signals of a type that fits `type` expire `after` their creation; 0: never. The first that fits counts.
struct ExpiresConfig {
  std::string type;
  Millis after{0};
  bool operator==(const ExpiresConfig&) const = default;
};

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

struct Config {
  std::filesystem::path file;  // as it was found; empty: none, defaults
  /// What a process must keep. Default: /var/lib/detent for root, else detent under $XDG_STATE_HOME or ~/.local/state.
  std::filesystem::path state;
  LogConfig log;
  BrokerConfig broker;
  LedgerConfig ledger;
  /// Those of the channels' folders (consumers/NAME/config.h) by name, each there even where the file has none.
  std::map<std::string, std::shared_ptr<const ChannelSection>, std::less<>> channel_sections;
  std::vector<std::string> redact;  // regular expressions (Perl syntax), each sure to compile
  RoutesConfig routes;
  std::vector<ExpiresConfig> expires;
  DispatchConfig dispatch;
  WorkerConfig worker;
  std::map<std::string, RunnerConfig, std::less<>> runners;
  DigitalOceanConfig digitalocean;

  /// A folder's section: `config.of<telegram::Settings>()`.
  template <class Settings>
  const Settings& of() const {
    for (const auto& [name, section] : channel_sections) {
      if (const auto* found = dynamic_cast<const Settings*>(section.get())) return *found;
    }
    throw Failure("this config was read without the section of a channel's folder");
  }

  /// Whether the channel's section of this name says the same in both.
  bool same_section(std::string_view name, const Config& other) const;

  /// Whether signals can be sent to `channel`: what the channels' folders configure, and "dispatch" always.
  bool has_channel(std::string_view channel) const;
  /// Every channel that has_channel, in a stable order.
  std::vector<std::string> channels() const;
  /// What to write so that there is this channel, or which one was meant.
  std::string remedy_for(std::string_view channel) const;
};

/// The file to read: `flag` (--config), else $DETENT_CONFIG, else ./detent.toml, else /etc/detent/detent.toml; an empty
/// path where there is none. An error where the first or second names a file that is not there.
Result<std::filesystem::path> find_config(const std::string& flag);

/// Finds and reads it; defaults where there is none. The error holds a line for each problem:
/// `detent.toml:12:3: unknown key "chanels" in [discord], did you mean "channels"?`.
Result<Config> load_config(const std::string& flag);
/// "config: /etc/detent/detent.toml", for a log's first line.
std::string origin_of(const Config& config);

/// Reads `text` as it stands in `file`. Relative paths in it are relative to the file's folder.
Result<Config> parse_config(std::string_view text, const std::filesystem::path& file);

}  // namespace detent
