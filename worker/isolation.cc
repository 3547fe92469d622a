#include "worker/isolation.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "base/child.h"
#include "base/units.h"
#include "base/utf8.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

constexpr Millis kTrialPatience{5'000};
constexpr size_t kReasonMost = 200;
constexpr const char* kGuardName = "detent-attempt";
constexpr const char* kSmallFolder = "1048576";     // of a hidden one; bytes, of memory
constexpr const char* kSharedMemory = "268435456";  // /dev/shm

/// `program` in PATH, or nothing.
fs::path find_program(const char* program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders{path ? path : "/usr/local/bin:/usr/bin:/bin"};
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty() && access((fs::path(folder) / program).c_str(), X_OK) == 0) return fs::path(folder) / program;
  }
  return {};
}

fs::path find_guard() {
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  const fs::path beside = self.parent_path() / kGuardName;
  return !failed && access(beside.c_str(), X_OK) == 0 ? beside : find_program(kGuardName);
}

/// The folders and what holds of the system however an attempt is run.
std::vector<std::string> bwrap_and_system(const fs::path& bwrap) {
  std::vector<std::string> out{bwrap.string(), "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc"};
  if (geteuid() == 0) out.insert(out.end(), {"--cap-drop", "ALL"});
  out.insert(out.end(), {"--ro-bind", "/", "/", "--dev", "/dev", "--size", kSharedMemory, "--tmpfs", "/dev/shm",
                         "--proc", "/proc"});
  // Sockets of other services (a container engine's, say) are a way out; what names are resolved by is kept.
  out.insert(out.end(), {"--size", kSmallFolder, "--tmpfs", "/run"});
  for (const char* kept : {"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf"})
    out.insert(out.end(), {"--ro-bind-try", kept, kept});
  return out;
}

/// Why bwrap cannot be used; empty where it can.
std::string try_bwrap(const fs::path& bwrap) {
  auto command = bwrap_and_system(bwrap);
  command.insert(command.end(), {"--", "true"});
  auto child = Child::start({.command = std::move(command), .deadline = kTrialPatience}, system_now().mono);
  if (!child) return child.error().what;
  const auto exit = child->wait();
  if (exit.timed_out) return "bwrap does not answer";
  if (exit.code == 0) return {};
  const auto end = std::min(exit.err.find('\n'), exit.err.size());
  return to_utf8(head_of(exit.err.substr(0, end), kReasonMost));
}

/// Short, and the same for the same folder: FNV-1a.
std::string mark_of(const fs::path& folder) {
  uint64_t hash = 14695981039346656037ull;
  for (const char c : folder.string()) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return fmt::format("detent-{:08x}", static_cast<uint32_t>(hash ^ (hash >> 32)));
}

}  // namespace

Result<Isolation> Isolation::probe(const WorkerConfig& config) {
  Isolation out;
  out.guard_ = find_guard();
  if (out.guard_.empty())
    return Error{fmt::format("{} is neither beside this program nor in PATH: install it there", kGuardName)};
  std::error_code failed;
  fs::create_directories(config.folder / "attempts", failed);
  if (!failed) fs::create_directories(config.folder / "node-compile-cache", failed);
  if (!failed) out.folder_ = fs::canonical(config.folder, failed);
  if (!failed) fs::permissions(out.folder_, fs::perms::owner_all, failed);  // prompts and results are nobody else's
  if (failed) return system_error("cannot make the worker's folder " + config.folder.string(), failed.value());
  RealDisk disk;
  auto lock = disk.lock(out.folder_.string());
  if (!lock && lock.error().code == EWOULDBLOCK)
    return Error{fmt::format("another worker runs with the folder {}: give each a [worker] folder of its own",
                             out.folder_.string()),
                 EWOULDBLOCK};
  if (!lock) return lock.error();
  out.lock_ = std::move(*lock);
  out.mark_ = mark_of(out.folder_);

  const bool wants_cgroups = config.isolation != "none";
  out.cgroups_ = wants_cgroups ? Cgroups::probe() : Cgroups::none("isolation = \"none\"");
  if (config.isolation == "cgroup" && out.cgroups_.parent.empty())
    return Error{fmt::format("[worker] isolation = \"cgroup\": {}", out.cgroups_.because)};
  if (config.isolation == "none" || config.isolation == "cgroup") {
    out.no_bwrap_because_ = fmt::format("isolation = \"{}\"", config.isolation);
  } else {
    out.bwrap_ = find_program("bwrap");
    out.no_bwrap_because_ = out.bwrap_.empty() ? "it is not installed (package bubblewrap)" : try_bwrap(out.bwrap_);
    if (!out.no_bwrap_because_.empty()) out.bwrap_.clear();
    if (config.isolation == "bwrap" && out.bwrap_.empty())
      return Error{fmt::format("[worker] isolation = \"bwrap\", which cannot be used: {}", out.no_bwrap_because_)};
  }
  out.hidden_ = config.hide;
  for (const auto& [name, runner] : config.runners) {
    for (const auto& [variable, file] : runner.secrets) out.hidden_.push_back(file);
  }
  return out;
}

std::string Isolation::summary() const {
  std::string held, weaker;
  const auto add = [](std::string& to, const std::string& text) { to += (to.empty() ? "" : ", ") + text; };
  for (const auto& [name, has] :
       {std::pair{"memory", cgroups_.memory}, {"processes", cgroups_.pids}, {"CPU", cgroups_.cpu}})
    add(has ? held : weaker, name);
  std::string out = fmt::format("isolation: {}", bwrap_.empty() ? "no bwrap" : "bwrap");
  if (!held.empty()) out += fmt::format(", cgroup limits for {}", held);
  if (cgroups_.kill) out += ", cgroup.kill";
  if (!weaker.empty())
    out += fmt::format(
        "; {} are limited by rlimits of each process and a look at all ten times a second, which is weaker ({})",
        weaker, cgroups_.because);
  if (bwrap_.empty())
    out += fmt::format("; attempts see and can write what the worker can, its other processes included (bwrap: {})",
                       no_bwrap_because_);
  return out;
}

std::vector<std::string> Isolation::inside_bwrap(const AttemptPlaces& places) const {
  auto out = bwrap_and_system(bwrap_);
  const auto bind = [&](const char* how, const fs::path& from, const fs::path& to) {
    out.insert(out.end(), {how, from.string(), to.string()});
  };
  for (const char* shared : {"/tmp", "/var/tmp"}) bind("--bind", places.system_temporary(), shared);
  std::vector<std::string> read_only{"/run"};
  std::error_code failed;
  std::vector<fs::path> hidden = hidden_, hidden_files;
  hidden.push_back(folder_);
  for (const fs::path& each : hidden) {
    const fs::path real = fs::canonical(each, failed);
    if (failed) continue;  // it is not there
    if (fs::is_directory(real, failed)) {
      out.insert(out.end(), {"--size", kSmallFolder, "--tmpfs", real.string()});
      read_only.push_back(real.string());
    } else {
      hidden_files.push_back(real);
    }
  }
  for (const auto& each : places.readable) bind("--ro-bind-try", each, each);
  for (const auto& each : places.writable) bind("--bind-try", each, each);
  if (!places.workspace.empty()) bind("--bind", places.workspace, places.workspace);
  bind("--bind", places.folder, places.folder);
  for (const auto& each : hidden_files) bind("--ro-bind", "/dev/null", each);
  for (const auto& each : read_only) out.insert(out.end(), {"--remount-ro", each});
  out.insert(out.end(), {"--chdir", places.start().string(), "--"});
  return out;
}

Result<GuardOrder> Isolation::order(const std::string& name, std::vector<std::string> command, const Limits& limits,
                                    Millis time, const AttemptPlaces& places) const {
  GuardOrder out{.rlimits = limits, .time = time, .folder = places.folder, .workspace = places.workspace};
  if (!bwrap_.empty()) {
    out.in_bwrap = true;
    out.command = inside_bwrap(places);
  }
  out.command.insert(out.command.end(), std::make_move_iterator(command.begin()),
                     std::make_move_iterator(command.end()));
  if (cgroups_.parent.empty()) return out;
  Limits of_leaf = limits;
  if (of_leaf.pids && out.in_bwrap) of_leaf.pids += kProcessesOfBwrap;
  const auto leaf = cgroups_.make(name, of_leaf);
  if (!leaf) return leaf.error();
  out.cgroup = *leaf;
  if (cgroups_.memory) out.rlimits.memory = 0;
  if (cgroups_.pids) out.rlimits.pids = 0;
  if (cgroups_.cpu) out.rlimits.cpu = 0;
  return out;
}

std::optional<std::string> does_not_fit(const WorkerConfig& config, uint64_t memory_of_machine) {
  const std::pair<const std::string, RunnerConfig>* largest = nullptr;
  for (const auto& runner : config.runners) {
    if (!largest || runner.second.memory > largest->second.memory) largest = &runner;
  }
  const uint64_t need = largest ? largest->second.memory * config.concurrency : 0;
  if (need <= memory_of_machine) return std::nullopt;
  return fmt::format(
      "[worker] concurrency = {} does not fit this machine: so many attempts of runner {}, of up to {} "
      "each, need {}, and there is {}",
      config.concurrency, largest->first, readable_size(largest->second.memory), readable_size(need),
      readable_size(memory_of_machine));
}

uint64_t memory_of_this_machine() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace detent
