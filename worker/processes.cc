#include "worker/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

namespace detent {

namespace {

constexpr int kStopPasses = 50;       // over what forks faster than it is stopped, then it is killed all the same
constexpr Millis kBetweenPasses{50};  // at most
constexpr size_t kEnvironmentMost = 4 << 20;
constexpr size_t kWatchedAtOnce = 256;  // of those that were killed

/// The whole of a small file of /proc; nothing where it cannot be read.
std::optional<std::string> contents(const std::string& path, size_t most) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::string out;
  char piece[4096];
  ssize_t got = 0;
  while (out.size() < most && (got = read(file, piece, sizeof piece)) > 0) out.append(piece, static_cast<size_t>(got));
  close(file);
  if (got < 0) return std::nullopt;
  return out;
}

std::string in_proc(pid_t pid, const char* name) { return "/proc/" + std::to_string(pid) + "/" + name; }

/// One process that was found, by a descriptor that stays its own even where the number is given to another.
class Target {
 public:
  explicit Target(const Process& process) : pid_{process.pid} {
    descriptor_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    const auto again = detent::process(pid_);
    same_ = again && again->started == process.started;
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  void signal(int number) const {
    if (!same_) return;
    if (descriptor_ >= 0) {
      syscall(SYS_pidfd_send_signal, descriptor_, number, nullptr, 0);
    } else {
      kill(pid_, number);  // no descriptor left
    }
  }
  int descriptor() const { return descriptor_; }

 private:
  pid_t pid_;
  int descriptor_;
  bool same_;
};

using Name = std::pair<pid_t, uint64_t>;  // its number and start time

}  // namespace

std::optional<Process> process(pid_t pid) {
  const auto text = contents(in_proc(pid, "stat"), 8192);
  if (!text) return std::nullopt;
  const auto name_end = text->rfind(')');  // a name may hold anything, parentheses too
  if (name_end == std::string::npos) return std::nullopt;
  Process out;
  out.pid = pid;
  long resident = 0;
  if (std::sscanf(text->c_str() + name_end + 1,
                  " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %" SCNu32 " %*d %" SCNu64
                  " %*u %ld",
                  &out.state, &out.parent, &out.group, &out.threads, &out.started, &resident) != 6)
    return std::nullopt;
  out.resident = static_cast<uint64_t>(std::max(resident, 0l)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return out;
}

std::vector<Process> all_processes() {
  std::vector<Process> out;
  DIR* folder = opendir("/proc");
  if (!folder) return out;
  while (const dirent* entry = readdir(folder)) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size()) continue;
    if (const auto found = process(pid)) out.push_back(*found);
  }
  closedir(folder);
  return out;
}

std::vector<Process> descendants_of(pid_t root, const std::vector<Process>& all) {
  std::unordered_multimap<pid_t, const Process*> children;
  for (const Process& each : all) children.emplace(each.parent, &each);
  std::vector<Process> out;
  std::vector<pid_t> parents{root};
  std::set<pid_t> seen{root};  // a number given anew while /proc was read could close a circle
  while (!parents.empty()) {
    const pid_t parent = parents.back();
    parents.pop_back();
    const auto [from, to] = children.equal_range(parent);
    for (auto at = from; at != to; ++at) {
      if (!seen.insert(at->second->pid).second) continue;
      parents.push_back(at->second->pid);
      if (at->second->alive()) out.push_back(*at->second);
    }
  }
  return out;
}

uint64_t proportional_size(const Process& process) {
  const auto text = contents(in_proc(process.pid, "smaps_rollup"), 8192);
  const auto at = text ? text->find("\nPss:") : std::string::npos;
  if (at == std::string::npos) return process.resident;
  return std::strtoull(text->c_str() + at + 5, nullptr, 10) * 1024;
}

std::optional<std::string> environment_value(pid_t pid, std::string_view name) {
  const auto text = contents(in_proc(pid, "environ"), kEnvironmentMost);
  if (!text) return std::nullopt;
  for (std::string_view rest = *text; !rest.empty();) {
    const auto end = std::min(rest.find('\0'), rest.size());
    const std::string_view entry = rest.substr(0, end);
    if (entry.starts_with(name) && entry.substr(name.size()).starts_with("="))
      return std::string(entry.substr(name.size() + 1));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::nullopt;
}

std::string boot_id() {
  auto text = contents("/proc/sys/kernel/random/boot_id", 64).value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Ended end_processes(const std::function<std::vector<Process>()>& find, Millis patience,
                    const std::function<void()>& reap) {
  std::set<Name> killed;
  const Millis until = system_now().mono + patience;
  for (;;) {
    if (reap) reap();
    std::map<Name, Target> targets;
    for (int pass = 0; pass < kStopPasses; ++pass) {
      bool more = false;
      for (const Process& each : find()) {
        const auto [target, is_new] = targets.try_emplace(Name(each.pid, each.started), each);
        if (!is_new) continue;
        more = true;
        target->second.signal(SIGSTOP);
      }
      if (!more) break;
    }
    if (targets.empty()) return {killed.size(), 0};
    std::vector<pollfd> waits;
    for (const auto& [name, target] : targets) {
      target.signal(SIGKILL);
      killed.insert(name);
      if (waits.size() < kWatchedAtOnce) waits.push_back({target.descriptor(), POLLIN, 0});
    }
    const Millis now = system_now().mono;
    if (now >= until) {
      if (reap) reap();
      const size_t left = find().size();
      return {killed.size() - std::min(left, killed.size()), left};
    }
    for (auto& wait : waits) {  // each in turn: poll returns at the first that ends
      const Millis pause = std::min(kBetweenPasses, until - system_now().mono);
      if (wait.fd >= 0 && pause.count() > 0) poll(&wait, 1, static_cast<int>(pause.count()));
    }
  }
}

}  // namespace detent
