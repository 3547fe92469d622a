#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <sstream>

#include "cli/command.h"
#include "routing/router.h"

namespace detent {

namespace json = boost::json;

namespace {

/// What the file cannot tell by itself: a token that is not there, a built-in route without its channel.
std::vector<std::string> notes_on(const Config& config, const Router& router) {
  std::vector<std::string> notes = router.notes();
  for (const auto& [name, section] : config.sections) {
    for (auto& [who, secret] : section->secrets()) {
      if (const Result<bool> read = secret.refresh(); !read)
        notes.push_back(fmt::format("{}: {}", who, read.error().what));
    }
  }
  return notes;
}

void check(Invocation& invocation) {
  std::vector<std::string> problems;
  Result<Config> config = load_config(invocation.config_file);
  Result<Router> router = config ? Router::compile(*config) : Result<Router>(config.error());
  if (!router) {
    std::istringstream lines(router.error().what);
    for (std::string line; std::getline(lines, line);) problems.push_back(line);
  }
  const std::vector<std::string> notes = router ? notes_on(*config, *router) : std::vector<std::string>();
  const std::string file = !config || config->file.empty() ? "" : config->file.string();

  if (invocation.json) {
    const auto list = [](const std::vector<std::string>& all) {
      json::array out;
      for (const std::string& line : all) out.emplace_back(line);
      return out;
    };
    json::object out{{"ok", problems.empty()}, {"file", file}, {"problems", list(problems)}, {"notes", list(notes)}};
    if (config) out["channels"] = list(config->channels());
    invocation.out << out << "\n";
  } else {
    for (const std::string& problem : problems) invocation.err << problem << "\n";
    if (problems.empty()) {
      for (const std::string& note : notes) invocation.out << "note: " << note << "\n";
      invocation.out << (file.empty() ? "no detent.toml: the defaults hold" : file + " is valid")
                     << "; channels: " << fmt::format("{}", fmt::join(config->channels(), ", ")) << "\n";
    }
  }
  invocation.exit = problems.empty() ? kDone : kWrong;
}

}  // namespace

void add_config(CLI::App& app, Invocation& invocation) {
  auto* config = app.add_subcommand("config", "Look at the configuration");
  config->require_subcommand(1);
  auto* checking = config->add_subcommand("check", "Read detent.toml and its routes, and say what is wrong where");
  add_json_option(*checking, invocation);
  checking->footer("Example:\n  detent --config /etc/detent/detent.toml config check");
  checking->callback([&invocation] { check(invocation); });
}

}  // namespace detent
