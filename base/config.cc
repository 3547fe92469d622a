#include "base/config.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include "base/config_section.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/units.h"

namespace detent {

namespace {

namespace fs = std::filesystem;

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("[::1]") || address.starts_with("localhost:");
}

void read_broker(Section& s, BrokerConfig& out) {
  s.endpoint("listen", out.listen);
  s.address("http", out.http);
  fs::path token;
  s.path("http_token_file", token);
  s.text("http_name", out.http_name);
  if (!token.empty()) out.http_token = Secret(token, "");
  if (!out.http.empty() && !is_loopback(out.http) && token.empty()) {
    s.expect(*s.raw().get("http"), "http", "an address of loopback, or http_token_file set too");
  }
  s.size("segment", out.segment);
  if (out.segment < kMiB || out.segment > 4096 * kMiB) {
    s.expect(*s.raw().get("segment"), "segment", "between \"1MiB\" and \"4GiB\"");
  }
  s.size("low_water", out.low_water);
  s.number("max_connections", out.max_connections, 1, 65535);
  s.section("max_backlog", [&](Section& limit) {
    limit.size("bytes", out.max_backlog.bytes);
    limit.duration("age", out.max_backlog.age);
  });
}

void read_ledger(Section& s, LedgerConfig& out) {
  s.path("repository", out.repository);
  s.text("remote", out.remote);
  s.number("pushes_per_minute", out.pushes_per_minute, 1, 600);
  s.duration("push_timeout", out.push_timeout);
  s.duration("receipts_within", out.receipts_within);
  s.texts("gather", out.gather);
  s.duration("gather_every", out.gather_every);
  s.size("max_lag", out.max_lag);
  s.text("author_name", out.author_name);
  s.text("author_email", out.author_email);
}

void read_match(Section& s, RouteMatch& out) {
  s.texts("type", out.types);
  s.read("severity", [&](const toml::node& node) {
    std::string_view text = node.as_string() ? std::string_view(node.as_string()->get()) : std::string_view();
    out.severity_exact = !text.starts_with(">=");
    if (!out.severity_exact) text.remove_prefix(2);
    while (text.starts_with(' ')) text.remove_prefix(1);
    if (const auto severity = parse_severity(text)) {
      out.severity = *severity;
    } else {
      s.expect(node, "severity", "one of info, notice, warning, error, critical, or \">=\" and one of them");
    }
  });
  s.text("source", out.source);
  s.table("labels", [&](const toml::table& labels) {
    for (const auto& [key, node] : labels) {
      if (const auto* value = node.as_string()) {
        out.labels.push_back({std::string(key.str()), value->get()});
      } else {
        s.expect(node, key.str(), "a string");
      }
    }
  });
  if (s.raw().contains("needs_response")) {
    bool wanted = false;
    s.flag("needs_response", wanted);
    out.needs_response = wanted;
  } else {
    s.find("needs_response");
  }
}

void read_routes(Section& top, RoutesConfig& out) {
  top.read("default_to", [&](const toml::node& node) { out.default_at = top.reading().place(node.source()); });
  top.texts("default_to", out.default_to);
  top.flag("builtin_routes", out.builtin_routes);
  top.section("operator", [&](Section& s) {
    s.read("channel", [&](const toml::node& node) { out.operator_at = top.reading().place(node.source()); });
    s.text("channel", out.operator_channel);
    s.read("alarms_to", [&](const toml::node& node) { out.operator_alarms_at = top.reading().place(node.source()); });
    s.texts("alarms_to", out.operator_alarms_to);
  });
  top.read("route", [&](const toml::node& node) {
    const auto* routes = node.as_array();
    if (!routes) return top.expect(node, "route", "written as [[route]]");
    for (const toml::node& item : *routes) {
      const auto* table = item.as_table();
      if (!table) {
        top.expect(item, "route", "written as [[route]]");
        continue;
      }
      RouteConfig& route = out.routes.emplace_back();
      route.at = top.reading().place(item.source());
      Section s(top.reading(), *table, "route");
      s.section("match", [&](Section& match) { read_match(match, route.match); });
      s.texts("to", route.to);
      s.flag("continue", route.continues);
      if (!table->contains("to"))
        top.reading().wrong(item.source(), "this [[route]] says no channel: add to = [\"…\"]");
    }
  });
}

void read_expires(Section& top, std::vector<ExpiresConfig>& out) {
  top.table("expires", [&](const toml::table& table) {
    std::vector<std::pair<toml::source_position, ExpiresConfig>> found;
    for (const auto& [key, node] : table) {
      const auto after = node.as_string()
                             ? node.as_string()->get() == "never" ? Millis{0} : parse_duration(node.as_string()->get())
                             : std::nullopt;
      if (after) {
        found.push_back({key.source().begin, {std::string(key.str()), *after}});
      } else {
        top.expect(node, fmt::format("\"{}\"", key.str()), "a duration such as \"10m\", or \"never\"");
      }
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [at, entry] : found) out.push_back(std::move(entry));
  });
}

void read_runners(Section& top, std::map<std::string, RunnerConfig, std::less<>>& out) {
  top.table("runner", [&](const toml::table& runners) {
    for (const auto& [key, node] : runners) {
      const auto* table = node.as_table();
      if (!table) {
        top.expect(node, key.str(), "written as [runner.NAME]");
        continue;
      }
      Section s(top.reading(), *table, fmt::format("runner.{}", key.str()));
      s.texts("command", out[std::string(key.str())].command);
    }
  });
}

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
  top.section("broker", [&](Section& s) { read_broker(s, out.broker); });
  top.section("ledger", [&](Section& s) { read_ledger(s, out.ledger); });
  for (auto& named : channel_sections()) {
    top.section(named.first, [&](Section& s) { named.second->read(s); });
    out.channel_sections.emplace(named.first, std::move(named.second));
  }
  top.section("redact", [&](Section& s) {
    s.texts("patterns", out.redact);
    const Result<Patterns> compiled = Patterns::compile(out.redact);
    if (!compiled) top.reading().wrong(s.raw().get("patterns")->source(), compiled.error().what);
  });
  read_routes(top, out.routes);
  read_expires(top, out.expires);
  top.section("dispatch", [&](Section& s) {
    s.endpoint("listen", out.dispatch.listen);
    s.duration("fallback_after", out.dispatch.fallback_after);
  });
  top.section("worker", [&](Section& s) {
    s.text("name", out.worker.name);
    s.endpoint("connect", out.worker.connect);
    s.number("concurrency", out.worker.concurrency, 1, 1024);
  });
  read_runners(top, out.runners);
  top.section("digitalocean", [&](Section& s) {
    s.url("api", out.digitalocean.api);
    s.secret("token_file", out.digitalocean.token, "DO_API_TOKEN");
  });
}

Config with_defaults(Config config) {
  if (config.channel_sections.empty()) {
    for (auto& [name, settings] : channel_sections()) config.channel_sections.emplace(name, std::move(settings));
  }
  if (config.state.empty()) config.state = default_state();
  if (config.ledger.repository.empty()) config.ledger.repository = config.state / "ledger.git";
  return config;
}

}  // namespace

bool Config::same_section(std::string_view name, const Config& other) const {
  const auto here = channel_sections.find(name), there = other.channel_sections.find(name);
  const bool is_here = here != channel_sections.end(), is_there = there != other.channel_sections.end();
  return is_here == is_there && (!is_here || here->second->same(*there->second));
}

bool Config::has_channel(std::string_view channel) const {
  const std::vector<std::string> all = channels();
  return std::find(all.begin(), all.end(), channel) != all.end();
}

std::vector<std::string> Config::channels() const {
  std::vector<std::string> all;
  for (const auto& [name, section] : channel_sections) {
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
  for (const auto& [name, section] : channel_sections) {
    if (std::string remedy = section->remedy(channel); !remedy.empty()) return remedy;
    namings.push_back(section->naming());
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
  if (file->empty()) return with_defaults({});
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
  return with_defaults(std::move(config));
}

}  // namespace detent
