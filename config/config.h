// detent.toml, read once at start-up and again on a reload, by one thread; afterwards a value like any other.
//
// Every program reads the whole file and looks at its own sections. A section belongs to the station that it is about:
// FOLDER/config.h has `detent::FolderConfig`, consumers/NAME/config.h and cli/NAME/config.h `detent::NAME::Settings`,
// all plain values with `void read(Section& file)`; the build finds them there.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace detent {

class Section;

struct LogConfig {
  std::string level = "info";
  std::string format = "text";
  bool operator==(const LogConfig&) const = default;
};

/// A station's part of the file, as the rest of Detent sees it.
class ConfigSection {
 public:
  virtual ~ConfigSection() = default;
  virtual std::shared_ptr<ConfigSection> copy() const = 0;

  /// Reads its own keys of the file; `file` keeps what is wrong with them.
  virtual void read(Section& file) = 0;
  /// What was not said and depends on the state's folder.
  virtual void complete(const std::filesystem::path& state) = 0;
  /// Whether `other`, of the same station, says the same.
  virtual bool same(const ConfigSection& other) const = 0;
  /// Whether a reload applies it; else that needs a restart.
  virtual bool reloads() const = 0;
  /// Where its program listens for others; empty where it does not.
  virtual std::string listens_at() const = 0;

  // ---- of a channel's folder
  /// The channels that are configured, as routes name them: "telegram", "discord.alerts".
  virtual std::vector<std::string> channels() const { return {}; }
  /// How its channels are named: "discord.NAME"; empty where it has none.
  virtual std::string naming() const { return {}; }
  /// What to write so that there is a channel of this name; empty where none of this section can have it.
  virtual std::string remedy(std::string_view) const { return {}; }
  /// What its channels need, and whose it is.
  virtual std::vector<std::pair<std::string, Secret>> secrets() const { return {}; }
};

/// The section that is a `Value`.
template <class Value>
class SectionOf final : public ConfigSection {
 public:
  Value value;

  std::shared_ptr<ConfigSection> copy() const override { return std::make_shared<SectionOf>(*this); }
  void read(Section& file) override { value.read(file); }
  void complete(const std::filesystem::path& state) override {
    if constexpr (requires { value.complete(state); }) value.complete(state);
  }
  bool same(const ConfigSection& other) const override {
    const auto* that = dynamic_cast<const SectionOf*>(&other);
    return that && value == that->value;
  }
  bool reloads() const override {
    if constexpr (requires { Value::kReloads; }) return Value::kReloads;
    return false;
  }
  std::string listens_at() const override {
    if constexpr (requires { value.listen; }) return value.listen;
    return {};
  }

  std::vector<std::string> channels() const override {
    if constexpr (requires { value.channels(); }) return value.channels();
    return {};
  }
  std::string naming() const override {
    if constexpr (requires { value.naming(); }) return value.naming();
    return {};
  }
  std::string remedy(std::string_view channel) const override {
    if constexpr (requires { value.remedy(channel); }) return value.remedy(channel);
    return {};
  }
  std::vector<std::pair<std::string, Secret>> secrets() const override {
    if constexpr (requires { value.secrets(); }) return value.secrets();
    return {};
  }
};

/// By the folder's name.
using ConfigSections = std::map<std::string, std::shared_ptr<ConfigSection>, std::less<>>;
/// One of each station, with defaults.
ConfigSections all_sections();

struct Config {
  Config() = default;
  Config(const Config& other);
  Config& operator=(const Config& other);
  Config(Config&&) = default;
  Config& operator=(Config&&) = default;

  std::filesystem::path file;  // as it was found; empty: none, defaults
  /// What a process must keep. Default: /var/lib/detent for root, else detent under $XDG_STATE_HOME or ~/.local/state.
  std::filesystem::path state;
  LogConfig log;
  std::vector<std::string> redact;  // regular expressions (Perl syntax), each sure to compile
  ConfigSections sections = all_sections();

  /// A station's section: `config.of<BrokerConfig>()`.
  template <class Value>
  const Value& of() const {
    return const_cast<Config*>(this)->of<Value>();
  }
  template <class Value>
  Value& of() {
    for (auto& [name, section] : sections) {
      if (auto* found = dynamic_cast<SectionOf<Value>*>(section.get())) return found->value;
    }
    throw Failure("a section of the config that no folder brings");
  }

  /// Where programs of this machine reach a station that listens ("broker"); one that listens everywhere, on loopback.
  std::string endpoint_of(std::string_view station) const;

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
