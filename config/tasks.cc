#include "config/tasks.h"

#include "config/section.h"

namespace detent {

namespace {

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

}  // namespace

void TasksConfig::read(Section& file) {
  file.section("dispatch", [&](Section& s) {
    s.endpoint("listen", dispatch.listen);
    s.duration("fallback_after", dispatch.fallback_after);
  });
  file.section("worker", [&](Section& s) {
    s.text("name", worker.name);
    s.endpoint("connect", worker.connect);
    s.number("concurrency", worker.concurrency, 1, 1024);
  });
  read_runners(file, runners);
  file.section("digitalocean", [&](Section& s) {
    s.url("api", digitalocean.api);
    s.secret("token_file", digitalocean.token, "DO_API_TOKEN");
  });
}

}  // namespace detent
