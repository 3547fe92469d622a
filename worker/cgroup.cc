#include "worker/cgroup.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

namespace detent {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kOwnLeaf = "detent-worker";
constexpr uint64_t kPeriod = 100'000;  // microseconds, of cpu.max; the kernel's default

std::string contents(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// 0, or an errno. Never makes the file.
int write_to(const fs::path& path, std::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  const int number = write(file, text.data(), text.size()) < 0 ? errno : 0;
  close(file);
  return number;
}

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  return std::any_of(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>(),
                     [&](const std::string& each) { return each == word; });
}

/// The number after `key` in a file of lines "key number".
std::optional<uint64_t> keyed(const fs::path& path, std::string_view key) {
  std::ifstream in(path);
  std::string name;
  uint64_t value = 0;
  while (in >> name >> value) {
    if (name == key) return value;
  }
  return std::nullopt;
}

/// Hands a controller on to the leaves of `parent`: whether it is there afterwards.
bool hand_on(const fs::path& parent, std::string_view controller) {
  const fs::path control = parent / "cgroup.subtree_control";
  const std::string on = fmt::format("+{}", controller);
  if (write_to(control, on) == EBUSY) {
    // A process is in it, and if that is us alone, we can go.
    std::error_code failed;
    fs::create_directory(parent / kOwnLeaf, failed);
    if (write_to(parent / kOwnLeaf / "cgroup.procs", "0") == 0 && write_to(control, on) != 0) {
      write_to(parent / "cgroup.procs", "0");
      fs::remove(parent / kOwnLeaf, failed);
    }
  }
  return has_word(contents(control), controller);
}

}  // namespace

std::optional<fs::path> cgroup_folder(std::string_view mountinfo, std::string_view cgroup) {
  std::string path;
  std::istringstream own{std::string(cgroup)};
  for (std::string line; std::getline(own, line);) {
    if (line.starts_with("0::/")) path = line.substr(3);
  }
  if (path.empty()) return std::nullopt;
  std::istringstream mounts{std::string(mountinfo)};
  for (std::string line; std::getline(mounts, line);) {
    // "36 35 98:0 ROOT POINT options … - TYPE SOURCE …"
    const auto dash = line.find(" - ");
    if (dash == std::string::npos || !std::string_view(line).substr(dash + 3).starts_with("cgroup2 ")) continue;
    std::istringstream fields(line);
    std::string skipped, root, point;
    fields >> skipped >> skipped >> skipped >> root >> point;
    if (root != "/") {
      if (path != root && !path.starts_with(root + "/")) continue;
      path.erase(0, root.size());
    }
    return (fs::path(point) / fs::path(path).relative_path()).lexically_normal();
  }
  return std::nullopt;
}

Cgroups Cgroups::probe() {
  auto folder = cgroup_folder(contents("/proc/self/mountinfo"), contents("/proc/self/cgroup"));
  if (!folder) return none("cgroup version 2 is not mounted");
  if (!folder->has_filename()) folder = folder->parent_path();
  if (folder->filename() == kOwnLeaf) folder = folder->parent_path();
  const fs::path trial = *folder / fmt::format("detent-probe-{}", getpid());
  std::error_code failed;
  if (!fs::create_directory(trial, failed))
    return none(fmt::format("{} cannot be written: {}", folder->string(), failed ? failed.message() : "it is in use"));
  Cgroups out;
  out.parent = *folder;
  out.kill = access((trial / "cgroup.kill").c_str(), W_OK) == 0;
  fs::remove(trial, failed);
  const std::string there = contents(*folder / "cgroup.controllers");
  std::string lacking, denied;
  for (const auto& [name, has] : {std::pair{"memory", &out.memory}, {"pids", &out.pids}, {"cpu", &out.cpu}}) {
    *has = has_word(there, name) && hand_on(*folder, name);
    if (*has) continue;
    std::string& into = has_word(there, name) ? denied : lacking;
    into += (into.empty() ? "" : ", ") + std::string(name);
  }
  if (!lacking.empty()) out.because = fmt::format("cgroup version 2 has no controller for {} here", lacking);
  if (!denied.empty())
    out.because +=
        fmt::format("{}{} does not hand on {}", out.because.empty() ? "" : ", and ", folder->string(), denied);
  return out;
}

Result<fs::path> Cgroups::make(const std::string& name, const Limits& limits) const {
  const fs::path leaf = parent / name;
  std::error_code failed;
  if (!fs::create_directory(leaf, failed))
    return system_error("cannot make the cgroup " + leaf.string(), failed ? failed.value() : EEXIST);
  const auto set = [&](const char* file, const std::string& text) -> Result<> {
    const int number = write_to(leaf / file, text);
    if (!number) return {};
    fs::remove(leaf, failed);
    return system_error(fmt::format("cannot set {} of the cgroup {} to {}", file, leaf.string(), text), number);
  };
  if (memory && limits.memory) {
    if (const auto done = set("memory.max", std::to_string(limits.memory)); !done) return done.error();
    write_to(leaf / "memory.swap.max", "0");  // not there without swap accounting
    write_to(leaf / "memory.oom.group", "1");
  }
  if (pids && limits.pids) {
    if (const auto done = set("pids.max", std::to_string(limits.pids)); !done) return done.error();
  }
  if (cpu && limits.cpu > 0) {
    const auto quota = std::max<uint64_t>(1'000, static_cast<uint64_t>(std::llround(limits.cpu * kPeriod)));
    if (const auto done = set("cpu.max", fmt::format("{} {}", quota, kPeriod)); !done) return done.error();
  }
  return leaf;
}

int join_cgroup(const fs::path& leaf) { return write_to(leaf / "cgroup.procs", "0"); }

void kill_cgroup(const fs::path& leaf) { write_to(leaf / "cgroup.kill", "1"); }

std::vector<pid_t> processes_in(const fs::path& leaf) {
  std::vector<pid_t> out;
  std::error_code failed;
  for (fs::recursive_directory_iterator at(leaf, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().filename() != "cgroup.procs") continue;
    std::ifstream in(at->path());
    for (pid_t pid = 0; in >> pid;) out.push_back(pid);
  }
  return out;
}

bool remove_cgroup(const fs::path& leaf) {
  std::vector<fs::path> groups{leaf};
  std::error_code failed;
  for (fs::recursive_directory_iterator at(leaf, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->is_directory(failed)) groups.push_back(at->path());
  }
  bool gone = true;
  for (auto group = groups.rbegin(); group != groups.rend(); ++group)
    gone &= rmdir(group->c_str()) == 0 || errno == ENOENT;
  return gone;
}

std::optional<uint64_t> peak_memory(const fs::path& leaf) {
  std::ifstream in(leaf / "memory.peak");
  uint64_t bytes = 0;
  if (in >> bytes) return bytes;
  return std::nullopt;
}

std::optional<uint64_t> cpu_used(const fs::path& leaf) { return keyed(leaf / "cpu.stat", "usage_usec"); }

uint64_t oom_kills(const fs::path& leaf) { return keyed(leaf / "memory.events", "oom_kill").value_or(0); }

}  // namespace detent
