// [worker] and [runner.NAME] in detent.toml: what a worker is called, and the only commands it will ever run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"

namespace detent {

class Section;

/// How one kind of task is run.
struct RunnerConfig {
  enum class Prompt { file, standard_input, argument };
  enum class Success {
    exit,           // it exits with 0
    openclaw_json,  // … and has printed the envelope of `openclaw agent exec --json` with ok: true
  };

  /// Placeholders: {prompt_file}, {prompt}, {task}, {workspace}, {folder}, {timeout} (in seconds).
  std::vector<std::string> command;
  /// Not said: as the command's placeholders have it, else on standard input.
  Prompt prompt = Prompt::standard_input;
  Success success = Success::exit;

  std::vector<std::string> pass_env{"PATH", "LANG", "LC_ALL", "TZ"};  // of the worker's environment, these alone
  std::map<std::string, std::string> env;
  std::map<std::string, std::filesystem::path> secrets;  // variable = file of mode 0600 or tighter
  std::vector<std::filesystem::path> writable;           // under bwrap: beside its folder and workspace
  std::vector<std::filesystem::path> readable;           // under bwrap: though it lies in what is hidden

  std::string workspace;  // git URL or path; empty: none
  std::string branch;     // empty: the one that its HEAD names

  Millis timeout = std::chrono::hours{1};
  Millis grace = std::chrono::seconds{5};  // from TERM to KILL
  uint64_t memory = 0;                     // bytes; 0: no limit of its own, as with the others
  uint32_t pids = 512;                     // processes and threads
  double cpu = 0;                          // cores
  uint64_t disk = 0;                       // bytes in its folder, and by which its workspace may grow
  uint64_t output = 64 << 10;              // bytes kept of the end of what it prints

  bool operator==(const RunnerConfig&) const = default;
};

struct WorkerConfig {
  std::string name;  // default: the host's
  std::string connect = "tcp://127.0.0.1:7410";
  uint32_t concurrency = 1;
  std::vector<std::string> labels;
  std::filesystem::path folder;  // attempts, results, workspaces; default: worker under `state`
  /// "auto": bwrap and cgroups where they can be used; "bwrap": refuses to start without it; "cgroup": no bwrap;
  /// "none": rlimits and the guard alone.
  std::string isolation = "auto";
  /// Not seen by attempts under bwrap, beside `folder` and all runners' secrets. What is not there is left out.
  std::vector<std::filesystem::path> hide;
  std::map<std::string, RunnerConfig, std::less<>> runners;

  void read(Section& file);
  void complete(const std::filesystem::path& state);
  bool operator==(const WorkerConfig&) const = default;
};

/// The placeholder names that stand in `argument`, without their braces: {"prompt_file"} of "--file={prompt_file}".
std::vector<std::string> placeholders_in(const std::string& argument);

}  // namespace detent
