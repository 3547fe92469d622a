// A table of a TOML file under reading, and the problems found so far. Only config.cc of each
// station includes this: toml++ is no one else's.
#pragma once

#include <spdlog/fmt/fmt.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/units.h"

namespace detent {

struct Problem {
  toml::source_position at;
  std::string text;
};

/// One file under reading: what is wrong with it so far.
struct Reading {
  std::string label;
  std::filesystem::path folder;
  std::vector<Problem> problems;

  void wrong(const toml::source_region& at, std::string text) { problems.push_back({at.begin, std::move(text)}); }
  std::string place(const toml::source_region& at) const {
    return fmt::format("{}:{}:{}", label, at.begin.line, at.begin.column);
  }
  Error error() {
    std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
      return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
    });
    std::string all;
    for (const Problem& p : problems) {
      if (!all.empty()) all += '\n';
      all += fmt::format("{}:{}:{}: {}", label, p.at.line, p.at.column, p.text);
    }
    return {all};
  }
};

/// One table under reading. Each key is asked for by name; those present that nobody asked for are unknown.
class Section {
 public:
  Section(Reading& reading, const toml::table& table, std::string name)
      : reading_(reading), table_(table), name_(std::move(name)) {}
  Section(const Section&) = delete;
  ~Section() {
    for (const auto& [key, value] : table_) {
      if (std::find(asked_.begin(), asked_.end(), key.str()) != asked_.end()) continue;
      std::string text = fmt::format("unknown key \"{}\"", key.str());
      if (!name_.empty()) text += fmt::format(" in [{}]", name_);
      if (const auto meant = nearest_name(key.str(), asked_)) text += fmt::format(", did you mean \"{}\"?", *meant);
      reading_.wrong(key.source(), std::move(text));
    }
  }

  const toml::node* find(std::string_view key) {
    asked_.push_back(key);
    return table_.get(key);
  }

  void read(std::string_view key, const std::function<void(const toml::node&)>& take) {
    if (const toml::node* node = find(key)) take(*node);
  }

  /// A string that `accept` turns into a value, or else a problem naming what was expected.
  template <class T, class Accept>
  void parsed(std::string_view key, T& out, Accept accept, std::string_view expected) {
    read(key, [&](const toml::node& node) {
      const auto* text = node.as_string();
      const auto value = text ? accept(text->get()) : std::nullopt;
      if (value) {
        out = *value;
      } else {
        expect(node, key, expected);
      }
    });
  }

  void text(std::string_view key, std::string& out) {
    parsed(
        key, out, [](const std::string& s) { return std::optional(s); }, "a string");
  }
  void url(std::string_view key, std::string& out) {
    const auto accept = [](std::string s) {
      while (s.ends_with('/')) s.pop_back();
      return s.starts_with("http://") || s.starts_with("https://") ? std::optional(s) : std::nullopt;
    };
    parsed(key, out, accept, "an http:// or https:// URL");
  }
  void endpoint(std::string_view key, std::string& out) {
    const auto accept = [](const std::string& s) {
      const bool good = s.starts_with("tcp://") ? is_host_and_port(s.substr(6)) : s.starts_with("ipc://");
      return good ? std::optional(s) : std::nullopt;
    };
    parsed(key, out, accept, "\"tcp://HOST:PORT\" or \"ipc://PATH\"");
  }
  /// Where an HTTP server listens; empty: nowhere.
  void address(std::string_view key, std::string& out) {
    const auto accept = [](const std::string& s) {
      return s.empty() || is_host_and_port(s) ? std::optional(s) : std::nullopt;
    };
    parsed(key, out, accept, "\"HOST:PORT\", or \"\" for none");
  }
  void path(std::string_view key, std::filesystem::path& out) {
    const auto accept = [this](const std::string& s) {
      return s.empty() ? std::nullopt : std::optional((reading_.folder / s).lexically_normal());
    };
    parsed(key, out, accept, "a path");
  }
  void choice(std::string_view key, std::string& out, std::span<const std::string_view> names) {
    const auto accept = [&](const std::string& s) {
      return std::find(names.begin(), names.end(), s) == names.end() ? std::nullopt : std::optional(s);
    };
    parsed(key, out, accept, fmt::format("one of {}", fmt::join(names, ", ")));
  }
  void duration(std::string_view key, Millis& out) {
    parsed(
        key, out, [](const std::string& s) { return parse_duration(s); },
        "a duration such as \"60s\", \"10m\", \"2h\" or \"30d\"");
  }
  void size(std::string_view key, uint64_t& out) {
    read(key, [&](const toml::node& node) {
      const auto whole = node.as_integer() && node.as_integer()->get() >= 0
                             ? std::optional<uint64_t>(node.as_integer()->get())
                         : node.as_string() ? parse_size(node.as_string()->get())
                                            : std::nullopt;
      if (whole) {
        out = *whole;
      } else {
        expect(node, key, "a size such as 4096, \"64MiB\" or \"1GiB\"");
      }
    });
  }
  template <class Number>
  void number(std::string_view key, Number& out, int64_t least, int64_t most) {
    read(key, [&](const toml::node& node) {
      const auto* value = node.as_integer();
      if (value && value->get() >= least && value->get() <= most) {
        out = static_cast<Number>(value->get());
      } else if (most == std::numeric_limits<int64_t>::max()) {
        expect(node, key, "a whole number");
      } else {
        expect(node, key, fmt::format("a whole number from {} to {}", least, most));
      }
    });
  }
  void flag(std::string_view key, bool& out) {
    read(key, [&](const toml::node& node) {
      if (const auto* value = node.as_boolean()) {
        out = value->get();
      } else {
        expect(node, key, "true or false");
      }
    });
  }
  /// An array of strings, or one string alone.
  void texts(std::string_view key, std::vector<std::string>& out) {
    read(key, [&](const toml::node& node) {
      std::vector<std::string> all;
      if (const auto* one = node.as_string()) {
        all.push_back(one->get());
      } else if (const auto* many = node.as_array()) {
        for (const toml::node& item : *many) {
          if (!item.as_string()) return expect(item, key, "strings");
          all.push_back(item.as_string()->get());
        }
      } else {
        return expect(node, key, "a string or an array of strings");
      }
      out = std::move(all);
    });
  }
  void table(std::string_view key, const std::function<void(const toml::table&)>& take) {
    read(key, [&](const toml::node& node) {
      if (const auto* inner = node.as_table()) {
        take(*inner);
      } else {
        expect(node, key, "a table");
      }
    });
  }
  void section(std::string_view key, const std::function<void(Section&)>& take) {
    table(key, [&](const toml::table& inner) {
      Section section(reading_, inner, name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key));
      take(section);
    });
  }
  void secret(std::string_view key, Secret& out, std::string variable) {
    std::filesystem::path file;
    path(key, file);
    if (!file.empty()) out = Secret(file, std::move(variable));
  }

  void expect(const toml::node& node, std::string_view key, std::string_view expected) {
    reading_.wrong(node.source(), fmt::format("{} must be {}", key, expected));
  }
  Reading& reading() { return reading_; }
  const toml::table& raw() const { return table_; }

 private:
  Reading& reading_;
  const toml::table& table_;
  std::string name_;
  std::vector<std::string_view> asked_;
};

}  // namespace detent
