// git as a child process: how it is called so that it never asks, never hangs, and can be understood.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/child.h"

namespace detent {

/// How to reach a remote. The address travels in the environment, not on a command line that all may read.
struct Remote {
  std::string url;
  std::string ssh_command;  // empty: ssh in batch mode with time-outs, or $GIT_SSH_COMMAND where that is set
};

/// `git -C repository arguments…` with nothing interactive, and a minute's time. In `arguments`, the remote is called
/// "detent".
Child::Options git_command(const std::filesystem::path& repository, std::vector<std::string> arguments,
                           const Remote* remote = nullptr);

enum class PushOutcome {
  pushed,
  up_to_date,
  lost,         // the remote's ref is not where we thought, or is locked: fetch and decide again
  refused,      // for good: a protected branch, a hook, a secret it believes to see
  unreachable,  // try again later
};

struct PushResult {
  PushOutcome outcome = PushOutcome::unreachable;
  std::string reason;  // one line, for people; without credentials
};

/// What `git push --porcelain` of one ref said.
PushResult push_result(const Child::Exit& exit);

/// `text` without the user and password of any address in it.
std::string without_credentials(std::string_view text);

}  // namespace detent
