#include "config/config.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "base/redact.h"
#include "base/units.h"
#include "config/section.h"

namespace detent {

namespace {

namespace fs = std::filesystem;

fs::path default_state() {
  if (geteuid() == 0) return "/var/lib/detent";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state == '/') return fs::path(state) / "detent";
  const char* home = std::getenv("HOME");
  return fs::path(home && *home ? home : "/tmp") / ".local/state/detent";
}

void read_all(Section& top, Config& out) {
  top.path("state", out.state);
  top.section("log", [&](Section& s) {
    constexpr std::string_view formats[] = {"text", "json"};
    s.choice("level", out.log.level, kLogLevels);
    s.choice("format", out.log.format, formats);
  });
  top.section("redact", [&](Section& s) {
    s.texts("patterns", out.redact);
    const Result<Patterns> compiled = Patterns::compile(out.redact);
    if (!compiled) top.reading().wrong(s.raw().get("patterns")->source(), compiled.error().what);
  });
  for (auto& [name, section] : out.sections) section->read(top);
}

Config completed(Config config) {
  if (config.state.empty()) config.state = default_state();
  for (auto& [name, section] : config.sections) section->complete(config.state);
  return config;
}

ConfigSections copied(const ConfigSections& sections) {
  ConfigSections out;
  for (const auto& [name, section] : sections) out.emplace(name, section->copy());
  return out;
}

}  // namespace

Config::Config(const Config& other)
    : file(other.file), state(other.state), log(other.log), redact(other.redact), sections(copied(other.sections)) {}

Config& Config::operator=(const Config& other) {
  Config copy(other);
  return *this = std::move(copy);
}

std::string Config::endpoint_of(std::string_view station) const {
  const auto section = sections.find(station);
  CHECK(section != sections.end(), "a station that has a section");
  std::string listens = section->second->listens_at();
  for (const std::string_view any : {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"}) {
    if (listens.starts_with(any)) return "tcp://127.0.0.1:" + listens.substr(any.size());
  }
  return listens;
}

bool Config::has_channel(std::string_view channel) const {
  const std::vector<std::string> all = channels();
  return std::find(all.begin(), all.end(), channel) != all.end();
}

std::vector<std::string> Config::channels() const {
  std::vector<std::string> all;
  for (const auto& [name, section] : sections) {
    for (std::string& channel : section->channels()) all.push_back(std::move(channel));
  }
  all.push_back("dispatch");
  return all;
}

std::string Config::remedy_for(std::string_view channel) const {
  const std::vector<std::string> known = channels();
  const std::vector<std::string_view> names(known.begin(), known.end());
  if (const auto meant = nearest_name(channel, names)) return fmt::format("did you mean \"{}\"?", *meant);
  std::vector<std::string> namings;
  for (const auto& [name, section] : sections) {
    if (std::string remedy = section->remedy(channel); !remedy.empty()) return remedy;
    if (std::string naming = section->naming(); !naming.empty()) namings.push_back(std::move(naming));
  }
  return fmt::format("channels are {} and dispatch", fmt::join(namings, ", "));
}

Result<std::filesystem::path> find_config(const std::string& flag) {
  const char* variable = std::getenv("DETENT_CONFIG");
  std::error_code error;
  if (!flag.empty()) {
    if (!fs::exists(flag, error)) return Error{flag + ": no such file (named by --config)", ENOENT};
    return fs::path(flag);
  }
  if (variable && *variable) {
    if (!fs::exists(variable, error))
      return Error{std::string(variable) + ": no such file (named by $DETENT_CONFIG)", ENOENT};
    return fs::path(variable);
  }
  for (const char* place : {"detent.toml", "/etc/detent/detent.toml"}) {
    if (fs::exists(place, error)) return fs::path(place);
  }
  return fs::path();
}

std::string origin_of(const Config& config) {
  if (config.file.empty()) return "config: none found, using the defaults";
  std::error_code failed;  // then it is told as it was given
  const auto whole = std::filesystem::absolute(config.file, failed);
  return "config: " + (failed ? config.file : whole).string();
}

Result<Config> load_config(const std::string& flag) {
  const Result<fs::path> file = find_config(flag);
  if (!file) return file.error();
  if (file->empty()) return completed({});
  if (fs::is_directory(*file)) return Error{"cannot read " + file->string() + ": it is a folder", EISDIR};
  std::ifstream in(*file, std::ios::binary);
  if (!in) return system_error("cannot read " + file->string(), errno);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return system_error("cannot read " + file->string(), errno);
  return parse_config(text, *file);
}

Result<Config> parse_config(std::string_view text, const std::filesystem::path& file) {
  std::error_code error;
  Reading reading{file.string(), fs::absolute(file, error).parent_path(), {}};
  Config config;
  config.file = file;
  try {
    const toml::table table = toml::parse(text);
    Section top(reading, table, "");
    read_all(top, config);
  } catch (const toml::parse_error& wrong) {
    reading.wrong(wrong.source(), std::string(wrong.description()));
  }
  if (!reading.problems.empty()) return reading.error();
  return completed(std::move(config));
}

}  // namespace detent
