#include "ledger/repository/git_command.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "ledger/text.h"

namespace detent {
namespace {

constexpr std::size_t kReasonMost = 300;

/// Calls `each` with every line of `text`.
template <class Each>
void for_lines(std::string_view text, Each each) {
  while (!text.empty()) {
    const auto end = text.find_first_of("\r\n");
    if (end != 0) each(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

bool names_a_lost_race(std::string_view text) {
  constexpr std::array<std::string_view, 8> said{
      "non-fast-forward",     "fetch first",  "stale info",     "cannot lock ref",
      "failed to update ref", "but expected", "already exists", "incorrect old value provided"};
  return std::any_of(said.begin(), said.end(), [&](auto words) { return text.find(words) != std::string_view::npos; });
}

/// The most telling lines of what git and the remote wrote to stderr.
std::string told(std::string_view err) {
  std::string remote, local;
  for_lines(err, [&](std::string_view line) {
    constexpr std::string_view prefix = "remote: ";
    const bool theirs = line.starts_with(prefix);
    std::string& into = theirs ? remote : local;
    if (theirs) line.remove_prefix(prefix.size());
    const std::string clean = one_line(line, kReasonMost);
    if (clean.empty() || line.starts_with("To ") || line.starts_with("hint:") ||
        line.starts_with("error: failed to push"))
      return;
    if (!into.empty()) into += "; ";
    into += clean;
  });
  return remote.empty() ? local : remote;
}

}  // namespace

Child::Options git_command(const std::filesystem::path& repository, std::vector<std::string> arguments,
                           const Remote* remote) {
  Child::Options options;
  options.deadline = Millis{60'000};
  options.command = {"git", "-C", repository.string(), "-c", "gc.auto=0", "-c", "maintenance.auto=false"};
  options.command.insert(options.command.end(), std::make_move_iterator(arguments.begin()),
                         std::make_move_iterator(arguments.end()));
  options.environment = {{"LC_ALL", "C"}, {"GIT_TERMINAL_PROMPT", "0"}, {"GIT_OPTIONAL_LOCKS", "0"}};
  // What a hook, in which we may have been started, sets for another repository.
  options.without = {"GIT_DIR",
                     "GIT_WORK_TREE",
                     "GIT_INDEX_FILE",
                     "GIT_OBJECT_DIRECTORY",
                     "GIT_NAMESPACE",
                     "GIT_PREFIX",
                     "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                     "GIT_QUARANTINE_PATH",
                     "GIT_COMMON_DIR"};
  if (remote) {
    std::string ssh = remote->ssh_command;
    if (ssh.empty()) {
      const char* set = std::getenv("GIT_SSH_COMMAND");
      ssh = set ? set : "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15";
    }
    options.environment.emplace_back("GIT_SSH_COMMAND", ssh);
    const std::vector<std::pair<std::string, std::string>> settings{
        {"remote.detent.url", remote->url}, {"http.lowSpeedLimit", "1000"}, {"http.lowSpeedTime", "20"}};
    options.environment.emplace_back("GIT_CONFIG_COUNT", std::to_string(settings.size()));
    for (std::size_t i = 0; i < settings.size(); ++i) {
      options.environment.emplace_back("GIT_CONFIG_KEY_" + std::to_string(i), settings[i].first);
      options.environment.emplace_back("GIT_CONFIG_VALUE_" + std::to_string(i), settings[i].second);
    }
  }
  return options;
}

std::string without_credentials(std::string_view text) {
  std::string out;
  while (true) {
    const auto scheme = text.find("://");
    if (scheme == std::string_view::npos) return out.append(text);
    out.append(text.substr(0, scheme + 3));
    text.remove_prefix(scheme + 3);
    const auto end = text.find_first_of("/ '\"\t\n");
    const auto at = text.substr(0, end).rfind('@');
    // "git@" of ssh is a part of the address; a name alone in another one may be a token.
    const bool user = out.ends_with("ssh://") && text.substr(0, at).find(':') == std::string_view::npos;
    if (at != std::string_view::npos && !user) text.remove_prefix(at + 1);
  }
}

PushResult push_result(const Child::Exit& exit) {
  if (exit.timed_out) return {PushOutcome::unreachable, "no answer before the deadline"};
  char flag = 0;
  std::string summary;
  for_lines(exit.out, [&](std::string_view line) {
    // "<flag>\t<from>:<to>\t<summary> (<reason>)"
    if (line.size() < 3 || line[1] != '\t') return;
    flag = line[0];
    summary = std::string{line.substr(line.rfind('\t') + 1)};
  });
  const std::string reason = one_line(without_credentials(told(exit.err)), kReasonMost);
  const auto both = [&] {
    return one_line(without_credentials(reason.empty() ? summary : summary + ": " + reason), kReasonMost);
  };
  if (flag == '!') {
    if (summary.starts_with("[remote failure]")) return {PushOutcome::unreachable, both()};
    if (summary.starts_with("[rejected]") || names_a_lost_race(summary)) return {PushOutcome::lost, both()};
    return {PushOutcome::refused, both()};
  }
  if (exit.code == 0 && flag == '=') return {PushOutcome::up_to_date, {}};
  if (exit.code == 0 && flag) return {PushOutcome::pushed, {}};
  if (exit.code == 0) return {PushOutcome::up_to_date, {}};
  return {PushOutcome::unreachable, reason.empty() ? "git ended with " + std::to_string(exit.code) : reason};
}

}  // namespace detent
