#include "routing/config.h"

#include <algorithm>
#include <utility>

#include "config/section.h"

namespace detent {

namespace {

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

void read_routes(Section& top, RoutingConfig& out) {
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

}  // namespace

void RoutingConfig::read(Section& file) {
  read_routes(file, *this);
  read_expires(file, expires);
}

}  // namespace detent
