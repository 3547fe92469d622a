#include "worker/guard.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cstdlib>
#include <sstream>

namespace detent {

namespace {

template <class Number>
bool whole(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

bool cores(std::string_view text, double& out) {
  // from_chars of a double is in gcc from 11 on and not in all of clang's libraries.
  std::istringstream in{std::string(text)};
  in.imbue(std::locale::classic());
  return static_cast<bool>(in >> out) && in.peek() == std::istringstream::traits_type::eof();
}

}  // namespace

std::vector<std::string> GuardOrder::command_line(const std::filesystem::path& guard) const {
  std::vector<std::string> out{guard.string()};
  if (!cgroup.empty()) out.push_back("--cgroup=" + cgroup.string());
  if (rlimits.memory) out.push_back(fmt::format("--memory={}", rlimits.memory));
  if (rlimits.pids) out.push_back(fmt::format("--pids={}", rlimits.pids));
  if (rlimits.cpu > 0) out.push_back(fmt::format("--cpu={}", rlimits.cpu));
  if (rlimits.disk) out.push_back(fmt::format("--disk={}", rlimits.disk));
  if (time.count()) out.push_back(fmt::format("--time={}", time.count()));
  if (in_bwrap) out.emplace_back("--bwrap");
  if (!folder.empty()) out.push_back("--folder=" + folder.string());
  if (!workspace.empty()) out.push_back("--workspace=" + workspace.string());
  out.emplace_back("--");
  out.insert(out.end(), command.begin(), command.end());
  return out;
}

Result<GuardOrder> GuardOrder::parse(int count, const char* const* arguments) {
  GuardOrder out;
  int at = 1;
  for (; at < count && std::string_view(arguments[at]) != "--"; ++at) {
    const std::string_view argument = arguments[at];
    const auto equals = std::min(argument.find('='), argument.size());
    const std::string_view name = argument.substr(0, equals);
    const std::string_view value = argument.substr(std::min(equals + 1, argument.size()));
    int64_t time = 0;
    bool good = true;
    if (name == "--cgroup")
      out.cgroup = value;
    else if (name == "--folder")
      out.folder = value;
    else if (name == "--workspace")
      out.workspace = value;
    else if (name == "--bwrap")
      out.in_bwrap = true;
    else if (name == "--memory")
      good = whole(value, out.rlimits.memory);
    else if (name == "--pids")
      good = whole(value, out.rlimits.pids);
    else if (name == "--disk")
      good = whole(value, out.rlimits.disk);
    else if (name == "--cpu")
      good = cores(value, out.rlimits.cpu);
    else if (name == "--time") {
      good = whole(value, time);
      out.time = Millis{time};
    } else
      good = false;
    if (!good)
      return Error{fmt::format("\"{}\" is no option of the guard, which the worker starts by itself", argument)};
  }
  for (++at; at < count; ++at) out.command.emplace_back(arguments[at]);
  if (out.command.empty()) return Error{"the guard was given no command; the worker starts it by itself"};
  return out;
}

std::string GuardReport::line() const {
  switch (kind) {
    case Kind::started:
      return fmt::format("started {}", pid);
    case Kind::failed:
      return fmt::format("failed {} {}", error, what);
    case Kind::ended:
      break;
  }
  return fmt::format("ended {} {} {} {} {} {} {}", code, signal, peak_memory, cpu_ms, leftovers, immortal,
                     static_cast<int>(reason));
}

std::optional<GuardReport> GuardReport::parse(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::string kind;
  in >> kind;
  GuardReport out;
  if (kind == "started") {
    out.kind = Kind::started;
    in >> out.pid;
  } else if (kind == "failed") {
    out.kind = Kind::failed;
    in >> out.error;
    std::getline(in >> std::ws, out.what);
  } else if (kind == "ended") {
    int reason = 0;
    in >> out.code >> out.signal >> out.peak_memory >> out.cpu_ms >> out.leftovers >> out.immortal >> reason;
    if (reason < 0 || reason > static_cast<int>(Reason::disk)) return std::nullopt;
    out.reason = static_cast<Reason>(reason);
  } else {
    return std::nullopt;
  }
  if (in.fail()) return std::nullopt;
  return out;
}

}  // namespace detent
