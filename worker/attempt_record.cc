#include "worker/attempt_record.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "worker/folder.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

constexpr size_t kTaskMost = 100;
constexpr std::string_view kMarkName = "DETENT_ATTEMPT";
constexpr std::string_view kSuffix = ".record";
constexpr Millis kLeftoverPatience{10'000};

fs::path path_of(const Isolation& isolation, const std::string& name) {
  return isolation.attempts() / (name + std::string(kSuffix));
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

bool is_attempt_name(std::string_view name) {
  const auto dot = name.find('.');
  return dot != std::string_view::npos && is_plain(name.substr(0, dot)) && is_plain(name.substr(dot + 1));
}

/// The processes whose mark is as asked for.
template <class Holds>
std::vector<Process> marked(const std::vector<Process>& all, Holds holds) {
  std::vector<Process> out;
  for (const Process& each : all) {
    if (!each.alive()) continue;
    const auto mark = environment_value(each.pid, kMarkName);
    if (mark && holds(*mark)) out.push_back(each);
  }
  return out;
}

}  // namespace

Result<std::string> attempt_name(std::string_view task, uint64_t epoch) {
  if (task.size() > kTaskMost || !is_plain(task))
    return Error{"a task's id is made of at most 100 letters, digits, \"-\" and \"_\""};
  return fmt::format("{}.{}", task, epoch);
}

std::string AttemptRecord::text() const {
  return fmt::format("boot {}\nguard {} {}\ncgroup {}\n", boot, guard, started, cgroup.string());
}

std::optional<AttemptRecord> AttemptRecord::parse(std::string_view text) {
  AttemptRecord out;
  bool has_guard = false;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string key;
    fields >> key;
    if (key == "boot") fields >> out.boot;
    if (key == "guard") has_guard = static_cast<bool>(fields >> out.guard >> out.started);
    if (key == "cgroup" && line.size() > 7) out.cgroup = line.substr(7);
  }
  if (out.boot.empty() || !has_guard) return std::nullopt;
  return out;
}

std::string attempt_mark(const Isolation& isolation, const std::string& name) { return isolation.mark() + "/" + name; }

Result<> write_record(const Isolation& isolation, const AttemptRecord& record) {
  // A rename keeps it whole where the worker is killed meanwhile. After a power cut there is nothing left to be ended.
  const fs::path path = path_of(isolation, record.name), draft = path.string() + ".tmp";
  {
    std::ofstream out(draft, std::ios::trunc);
    out << record.text();
    if (!out.flush()) return system_error("cannot write " + draft.string(), errno);
  }
  std::error_code failed;
  fs::rename(draft, path, failed);
  if (failed) return system_error("cannot write " + path.string(), failed.value());
  return {};
}

void remove_record(const Isolation& isolation, const std::string& name) {
  std::error_code failed;
  fs::remove(path_of(isolation, name), failed);
}

Ended end_attempt(const Isolation& isolation, const AttemptRecord& record, Millis patience) {
  const bool this_boot = record.boot == boot_id();
  const std::string mark = attempt_mark(isolation, record.name);
  const auto find = [&] {
    const auto all = all_processes();
    auto found = marked(all, [&](const std::string& value) { return value == mark; });
    const auto add = [&](const Process& process) {
      const bool known =
          std::any_of(found.begin(), found.end(), [&](const Process& o) { return o.pid == process.pid; });
      if (process.alive() && !known) found.push_back(process);
    };
    const auto guard = std::find_if(all.begin(), all.end(), [&](const Process& each) {
      return each.pid == record.guard && each.started == record.started;
    });
    if (this_boot && record.guard && guard != all.end()) {
      add(*guard);
      for (const Process& each : descendants_of(record.guard, all)) add(each);
    }
    if (!record.cgroup.empty()) {
      for (const pid_t pid : processes_in(record.cgroup)) {
        if (const auto found_there = process(pid)) add(*found_there);
      }
    }
    return found;
  };
  const size_t before = find().size();
  if (!record.cgroup.empty()) kill_cgroup(record.cgroup);
  Ended ended = end_processes(find, patience);
  ended.killed = std::max(ended.killed, before - std::min(before, ended.left));
  if (!record.cgroup.empty()) remove_cgroup(record.cgroup);
  return ended;
}

std::vector<std::string> end_leftovers(const Isolation& isolation) {
  std::set<std::string> names;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(isolation.attempts(), failed)) {
    std::string name = entry.path().filename().string();
    if (name.ends_with(".tmp")) name.resize(name.size() - 4);
    if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
    names.insert(std::move(name));
  }
  const auto leaf_prefix = isolation.mark() + ".";
  if (!isolation.cgroups().parent.empty()) {
    for (const auto& entry : fs::directory_iterator(isolation.cgroups().parent, failed)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(leaf_prefix)) names.insert(name.substr(leaf_prefix.size()));
    }
  }
  const std::string own = isolation.mark() + "/";
  for (const Process& each : marked(all_processes(), [&](const std::string& mark) { return mark.starts_with(own); })) {
    const auto mark = environment_value(each.pid, kMarkName).value_or("");
    if (mark.starts_with(own) && mark.find('/', own.size()) == std::string::npos) names.insert(mark.substr(own.size()));
  }

  std::vector<std::string> out;
  for (const std::string& name : names) {
    if (!is_attempt_name(name)) continue;  // a mark may be anybody's, and becomes part of a path here
    std::ifstream in(path_of(isolation, name));
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    AttemptRecord record = AttemptRecord::parse(text).value_or(AttemptRecord{});
    record.name = name;
    if (record.cgroup.empty() && !isolation.cgroups().parent.empty())
      record.cgroup = isolation.cgroups().parent / (leaf_prefix + name);
    if (!record.cgroup.empty() && !fs::exists(record.cgroup, failed)) record.cgroup.clear();
    const Ended ended = end_attempt(isolation, record, kLeftoverPatience);
    const auto removed = remove_folder(isolation.attempts() / name);
    remove_record(isolation, name);
    fs::remove(path_of(isolation, name).string() + ".tmp", failed);
    std::string line = fmt::format("attempt {} of an earlier run: ", name);
    line += ended.killed == 0 && ended.left == 0 ? "nothing of it ran any more"
                                                 : fmt::format("{} processes ended", ended.killed);
    if (ended.left > 0) line += fmt::format(", {} cannot be ended", ended.left);
    if (!removed) line += ", " + removed.error().what;
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace detent
