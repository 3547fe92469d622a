#include "dispatch/expect_config.h"

#include <map>
#include <string>

#include "config/section.h"

namespace detent {

namespace {

void read_expectation(Section& s, const toml::table& table, Expectation& out) {
  const auto name = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
  s.parsed("source", out.name, name, "the name of a source or a worker");
  const auto interval = [](const std::string& text) {
    const auto span = parse_duration(text);
    return span && *span >= Liveness::kShortest && *span <= Liveness::kLongest ? span : std::nullopt;
  };
  s.parsed("every", out.every, interval, "a duration from \"1s\" to \"366d\"");
  out.grace = default_grace(out.every);
  s.duration("grace", out.grace);
  for (const char* needed : {"source", "every"}) {
    if (!table.contains(needed))
      s.reading().wrong(table.source(), fmt::format("this [[expect]] has no {}: add {} = \"…\"", needed, needed));
  }
}

}  // namespace

void ExpectConfig::read(Section& file) {
  file.read("expect", [&](const toml::node& node) {
    const auto* all = node.as_array();
    if (!all) return file.expect(node, "expect", "written as [[expect]]");
    std::map<std::string, std::string> places;  // by name
    for (const toml::node& item : *all) {
      const auto* table = item.as_table();
      if (!table) {
        file.expect(item, "expect", "written as [[expect]]");
        continue;
      }
      Section s(file.reading(), *table, "expect");
      Expectation& one = sources.emplace_back();
      read_expectation(s, *table, one);
      if (one.name.empty()) continue;
      const auto [other, unique] = places.emplace(one.name, file.reading().place(item.source()));
      if (!unique) {
        file.reading().wrong(table->get("source")->source(),
                             fmt::format("\"{}\" is expected already, at {}", other->first, other->second));
      }
    }
  });
}

}  // namespace detent
