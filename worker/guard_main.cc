// detent-attempt: the guard of one attempt. See worker/guard.h. One thread, started by the worker only.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "worker/folder.h"
#include "worker/guard.h"
#include "worker/guarded_command.h"
#include "worker/processes.h"

namespace detent {

namespace {

constexpr Millis kLook{100};         // at processes and memory …
constexpr Millis kSlowestLook{500};  // … less often where a look takes long
constexpr Millis kDiskLook{500};     // at the folder …
constexpr Millis kSlowestDiskLook{10'000};
constexpr int kCostShare = 50;  // a look waits at least this many times what it took
constexpr Millis kEndPatience{20'000};
constexpr Millis kCgroupPatience{2'000};

Millis mono() { return system_now().mono; }

class Guard {
 public:
  explicit Guard(GuardOrder order) : order_{std::move(order)} {}

  int run() {
    fcntl(kGuardSocket, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t watched;
    sigemptyset(&watched);
    // A service manager that ends the worker's whole group speaks to us too; what is to be done then, the worker says.
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&watched, number);
    sigprocmask(SIG_BLOCK, &watched, nullptr);
    signals_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) return refuse(errno, "cannot read signals");
    if (!start()) return 127;
    let_go_of_streams();
    while (!finished_) turn();
    return finish();
  }

 private:
  void say(const GuardReport& report) const {
    const std::string line = report.line();
    while (send(kGuardSocket, line.data(), line.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }
  int refuse(int number, std::string what) const {
    say({.kind = GuardReport::Kind::failed, .error = number, .what = std::move(what)});
    clean_up();
    return 127;
  }

  bool start() {
    const auto started = start_guarded(order_);
    if (!started) {
      refuse(started.error().code, started.error().what);
      return false;
    }
    main_ = *started;
    say({.kind = GuardReport::Kind::started, .pid = main_});
    return true;
  }

  /// The command's streams are not kept open by us.
  static void let_go_of_streams() {
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int each : {0, 1, 2}) dup2(nothing, each);
    if (nothing > 2) close(nothing);
  }

  std::vector<Process> descendants() const { return descendants_of(getpid(), all_processes()); }

  void turn() {
    const Millis now = mono();
    const Limits& limits = order_.rlimits;
    Millis pause{-1};
    if (limits.memory || limits.pids) pause = std::max(next_look_ - now, Millis{0});
    if (limits.disk)
      pause = std::min(pause.count() < 0 ? kSlowestDiskLook : pause, std::max(next_disk_look_ - now, Millis{0}));
    std::array<pollfd, 2> waits{{{kGuardSocket, POLLIN, 0}, {signals_, POLLIN, 0}}};
    poll(waits.data(), waits.size(), static_cast<int>(pause.count()));
    if (waits[1].revents) {
      signalfd_siginfo info;
      while (read(signals_, &info, sizeof info) == sizeof info) {
      }
      reap();
    }
    if (waits[0].revents) obey();
    if (!finished_) look(mono());
  }

  void obey() {
    char asked = 0;
    const ssize_t got = recv(kGuardSocket, &asked, 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || asked == kEndNow) {
      finished_ = true;  // told so, or the worker is gone
    } else if (asked == kAskToEnd) {
      ask_to_end();
    }
  }

  void ask_to_end() const {
    pid_t group = main_;
    if (order_.in_bwrap) {
      for (const Process& each : descendants()) {
        if (each.parent == main_ && each.group != main_) group = each.group;
      }
    }
    kill(-group, SIGTERM);
  }

  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid != main_) continue;
      signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      code_ = signal_ ? 128 + signal_ : WEXITSTATUS(status);
      ended_by_itself_ = !finished_;
      finished_ = true;
    }
  }

  void look(Millis now) {
    const Limits& limits = order_.rlimits;
    if ((limits.memory || limits.pids) && now >= next_look_) {
      look_at_processes();
      next_look_ = now + std::clamp((mono() - now) * kCostShare, kLook, kSlowestLook);
    }
    if (limits.disk && now >= next_disk_look_ && !finished_) {
      look_at_disk();
      next_disk_look_ = now + std::clamp((mono() - now) * kCostShare, kDiskLook, kSlowestDiskLook);
    }
  }

  void look_at_processes() {
    const Limits& limits = order_.rlimits;
    uint64_t resident = 0, threads = 0;
    const auto found = descendants();
    for (const Process& each : found) {
      resident += each.resident;
      threads += each.threads;
    }
    peak_ = std::max(peak_, resident);
    if (limits.pids && threads > limits.pids + (order_.in_bwrap ? kProcessesOfBwrap : 0))
      return give_up(GuardReport::Reason::pids);
    if (!limits.memory || resident <= limits.memory) return;
    uint64_t own = 0;  // what they share is counted once
    for (const Process& each : found) own += proportional_size(each);
    if (own > limits.memory) give_up(GuardReport::Reason::memory);
  }

  void look_at_disk() {
    uint64_t bytes = size_on_disk(order_.folder);
    if (!order_.workspace.empty()) {
      const uint64_t workspace = size_on_disk(order_.workspace);
      if (!workspace_before_) workspace_before_ = workspace;
      bytes += workspace - std::min(workspace, *workspace_before_);
    }
    if (bytes > order_.rlimits.disk) give_up(GuardReport::Reason::disk);
  }

  void give_up(GuardReport::Reason reason) {
    reason_ = reason;
    finished_ = true;
  }

  int finish() {
    GuardReport report{.reason = reason_};
    const auto left = descendants();
    if (ended_by_itself_) {
      // bwrap's own process inside is not one that was left behind.
      report.leftovers = static_cast<uint64_t>(std::count_if(
          left.begin(), left.end(), [&](const Process& each) { return !order_.in_bwrap || each.parent != getpid(); }));
    }
    if (!order_.cgroup.empty()) kill_cgroup(order_.cgroup);
    const Ended ended = end_processes([&] { return descendants(); }, kEndPatience, [&] { reap(); });
    reap();
    report.immortal = ended.left;
    report.code = code_;
    report.signal = signal_;
    rusage used{};
    getrusage(RUSAGE_CHILDREN, &used);
    report.peak_memory = std::max(peak_, static_cast<uint64_t>(used.ru_maxrss) * 1024);
    report.cpu_ms = static_cast<uint64_t>((used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                                          (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
    if (!order_.cgroup.empty()) {
      report.peak_memory = peak_memory(order_.cgroup).value_or(report.peak_memory);
      report.cpu_ms = std::max(report.cpu_ms, cpu_used(order_.cgroup).value_or(0) / 1000);
      if (oom_kills(order_.cgroup) > 0) report.reason = GuardReport::Reason::memory;
    }
    clean_up();
    say(report);
    return 0;
  }

  void clean_up() const {
    if (!order_.cgroup.empty()) {
      const int events = open((order_.cgroup / "cgroup.events").c_str(), O_RDONLY | O_CLOEXEC);
      const Millis until = mono() + kCgroupPatience;
      while (!remove_cgroup(order_.cgroup) && mono() < until) {
        pollfd wait{events, POLLPRI, 0};
        poll(&wait, 1, static_cast<int>(kLook.count()));
      }
      if (events >= 0) close(events);
    }
    // What cannot be removed is removed, or said, by the worker.
    if (!order_.folder.empty()) static_cast<void>(remove_folder(order_.folder));
  }

  GuardOrder order_;
  pid_t main_ = -1;
  int signals_ = -1;
  bool finished_ = false, ended_by_itself_ = false;
  int code_ = 128 + SIGKILL, signal_ = SIGKILL;
  GuardReport::Reason reason_ = GuardReport::Reason::none;
  uint64_t peak_ = 0;
  std::optional<uint64_t> workspace_before_;
  Millis next_look_{0}, next_disk_look_{0};
};

}  // namespace

}  // namespace detent

int main(int count, char** arguments) {
  auto order = detent::GuardOrder::parse(count, arguments);
  if (!order) {
    std::fprintf(stderr, "detent-attempt: %s\n", order.error().what.c_str());
    return 2;
  }
  return detent::Guard(std::move(*order)).run();
}
