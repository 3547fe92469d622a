#include "worker/config.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

#include "config/section.h"

namespace detent {

namespace {

using Prompt = RunnerConfig::Prompt;
using Success = RunnerConfig::Success;

constexpr std::string_view kIsolations[] = {"auto", "bwrap", "cgroup", "none"};
constexpr std::string_view kPlaceholders[] = {"prompt_file", "prompt", "task", "workspace", "folder", "timeout"};
constexpr std::string_view kSetByTheWorker[] = {"HOME", "TMPDIR", "DETENT_ATTEMPT", "DETENT_TASK"};

bool is_variable(std::string_view name) {
  const auto part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), part);
}

std::optional<Prompt> prompt_named(const std::string& name) {
  if (name == "file") return Prompt::file;
  if (name == "stdin") return Prompt::standard_input;
  if (name == "argument") return Prompt::argument;
  return std::nullopt;
}

std::optional<Success> success_named(const std::string& name) {
  if (name == "exit") return Success::exit;
  if (name == "openclaw-json") return Success::openclaw_json;
  return std::nullopt;
}

/// Paths, relative to the file's folder.
void read_paths(Section& s, std::string_view key, std::vector<std::filesystem::path>& out) {
  std::vector<std::string> paths;
  s.texts(key, paths);
  for (const auto& path : paths) out.push_back((s.reading().folder / path).lexically_normal());
}

/// A table of NAME = "text", each handed to `take`.
void read_variables(Section& s, std::string_view key,
                    const std::function<void(const std::string& name, const std::string& value)>& take) {
  s.table(key, [&](const toml::table& table) {
    for (const auto& [name, node] : table) {
      const std::string variable(name.str());
      if (!is_variable(variable)) {
        s.reading().wrong(name.source(), fmt::format("\"{}\" is no name of an environment variable", variable));
      } else if (std::find(std::begin(kSetByTheWorker), std::end(kSetByTheWorker), variable) !=
                 std::end(kSetByTheWorker)) {
        s.reading().wrong(name.source(), fmt::format("{} is set by the worker itself", variable));
      } else if (const auto* text = node.as_string()) {
        take(variable, text->get());
      } else {
        s.expect(node, variable, "a string");
      }
    }
  });
}

/// The command's placeholders, and how the prompt is handed over, fit together.
void check_command(Section& s, RunnerConfig& runner, const std::optional<Prompt>& said) {
  const toml::node* node = s.raw().get("command");
  const auto at = node ? node->source() : s.raw().source();
  const auto wrong = [&](std::string text) { s.reading().wrong(at, std::move(text)); };
  if (runner.command.empty() || runner.command.front().empty()) {
    if (!node || node->is_array() || node->is_string()) wrong("a runner needs a command = [\"program\", …]");
    return;
  }
  bool file = false, argument = false;
  for (const std::string& part : runner.command) {
    for (const std::string& name : placeholders_in(part)) {
      file |= name == "prompt_file";
      argument |= name == "prompt";
      if (std::find(std::begin(kPlaceholders), std::end(kPlaceholders), name) != std::end(kPlaceholders)) continue;
      std::string text = fmt::format("unknown placeholder {{{}}} in command", name);
      if (const auto meant = nearest_name(name, kPlaceholders)) text += fmt::format(", did you mean {{{}}}?", *meant);
      wrong(std::move(text));
    }
  }
  if (file && argument) return wrong("the command names both {prompt} and {prompt_file}: one of them is enough");
  runner.prompt = said ? *said : file ? Prompt::file : argument ? Prompt::argument : Prompt::standard_input;
  if (file != (runner.prompt == Prompt::file))
    return wrong(file ? "{prompt_file} in the command needs prompt = \"file\", or no prompt at all"
                      : "prompt = \"file\" needs {prompt_file} in the command");
  if (argument != (runner.prompt == Prompt::argument))
    return wrong(argument ? "{prompt} in the command needs prompt = \"argument\", or no prompt at all"
                          : "prompt = \"argument\" needs {prompt} in the command");
}

void read_runner(Section& s, RunnerConfig& out) {
  std::optional<Prompt> prompt;
  s.texts("command", out.command);
  s.parsed("prompt", prompt, prompt_named, "one of file, stdin, argument");
  s.parsed("success", out.success, success_named, "one of exit, openclaw-json");
  s.texts("pass_env", out.pass_env);
  read_variables(s, "env", [&](const std::string& name, const std::string& value) { out.env[name] = value; });
  read_variables(s, "secrets", [&](const std::string& name, const std::string& value) {
    out.secrets[name] = (s.reading().folder / value).lexically_normal();
  });
  read_paths(s, "writable", out.writable);
  read_paths(s, "readable", out.readable);
  s.text("workspace", out.workspace);
  s.text("branch", out.branch);
  s.duration("timeout", out.timeout);
  s.duration("grace", out.grace);
  s.size("memory", out.memory);
  s.number("pids", out.pids, 0, 4'000'000);
  s.read("cpu", [&](const toml::node& node) {
    const auto cores = node.value<double>();
    if (cores && node.is_number() && *cores >= 0.01 && *cores <= 4096) {
      out.cpu = *cores;
    } else {
      s.expect(node, "cpu", "a number of cores such as 0.5 or 2");
    }
  });
  s.size("disk", out.disk);
  s.size("output", out.output);
  check_command(s, out, prompt);
}

}  // namespace

std::vector<std::string> placeholders_in(const std::string& argument) {
  std::vector<std::string> out;
  for (size_t at = argument.find('{'); at != std::string::npos; at = argument.find('{', at + 1)) {
    const auto end = argument.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1);
    // Braces of another kind (JSON, a shell's) are the command's own.
    if (end == std::string::npos || argument[end] != '}' || end == at + 1) continue;
    out.push_back(argument.substr(at + 1, end - at - 1));
  }
  return out;
}

void WorkerConfig::read(Section& file) {
  file.section("worker", [&](Section& s) {
    s.text("name", name);
    s.endpoint("connect", connect);
    s.number("concurrency", concurrency, 1, 1024);
    s.texts("labels", labels);
    s.path("folder", folder);
    s.choice("isolation", isolation, kIsolations);
    read_paths(s, "hide", hide);
  });
  file.table("runner", [&](const toml::table& all) {
    for (const auto& [key, node] : all) {
      const auto* table = node.as_table();
      if (!table) {
        file.expect(node, key.str(), "written as [runner.NAME]");
        continue;
      }
      Section s(file.reading(), *table, fmt::format("runner.{}", key.str()));
      read_runner(s, runners[std::string(key.str())]);
    }
  });
}

void WorkerConfig::complete(const std::filesystem::path& state) {
  if (folder.empty()) folder = state / "worker";
  if (name.empty()) {
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    name = host.data();
  }
  hide.emplace_back("/etc/detent");
  if (const char* home = std::getenv("HOME")) {
    for (const char* kept : {".ssh", ".gnupg", ".aws", ".netrc", ".git-credentials", ".config", ".openclaw"})
      hide.push_back(std::filesystem::path(home) / kept);
  }
}

}  // namespace detent
