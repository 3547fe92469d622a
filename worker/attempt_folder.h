// What an attempt finds when it begins: a folder of its own, the prompt in it, an environment that holds only what was
// allowed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "worker/config.h"
#include "worker/isolation.h"

namespace detent {

/// One attempt of one task.
struct AttemptOrder {
  std::string task;  // its id
  uint64_t epoch = 0;
  std::string prompt;
  Millis timeout{0};                            // 0: the runner's
  std::filesystem::path workspace;              // prepared; empty: none
  std::vector<std::filesystem::path> readable;  // beside it, under bwrap: what the workspace refers to
};

using Environment = std::vector<std::pair<std::string, std::string>>;

/// Makes the attempt's folder (of this name, mode 0700) with its home, its folder for temporary files, and where the
/// runner wants it as a file, its prompt (mode 0600). What an earlier one of this name left there is removed first.
Result<AttemptPlaces> make_attempt_folder(const Isolation& isolation, const std::string& name,
                                          const RunnerConfig& runner, const AttemptOrder& order);

/// All of the attempt's environment: of ours what `pass_env` names, what `env` and `secrets` say, and what the worker
/// sets itself. An error, which never holds a secret's value, where a secret's file cannot be read or others can.
Result<Environment> attempt_environment(const Isolation& isolation, const std::string& name, const RunnerConfig& runner,
                                        const AttemptOrder& order, const AttemptPlaces& places);

/// The runner's command with its placeholders replaced. An error where the prompt is to be an argument and cannot be
/// one.
Result<std::vector<std::string>> attempt_command(const RunnerConfig& runner, const AttemptOrder& order,
                                                 const AttemptPlaces& places, Millis timeout);

/// The value in a secret's file: a regular file of mode 0600 or tighter, of this user or root; its last line end is
/// left out.
Result<std::string> read_secret(const std::string& variable, const std::filesystem::path& file);

}  // namespace detent
