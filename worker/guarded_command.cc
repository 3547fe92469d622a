#include "worker/guarded_command.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "worker/processes.h"

namespace detent {

namespace {

constexpr rlim_t kCpuGrace = 2;  // seconds from XCPU to KILL
constexpr rlim_t kRoomForOthers = 256;
constexpr const char* kOomScore = "500";  // where memory runs out, the attempt goes before the worker does

void set_limit(decltype(RLIMIT_CPU) which, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  setrlimit(which, &limit);  // where a lower one stands already, that one holds
}

/// Pins the process to as many processors as make up `cores`.
void pin(double cores) {
  cpu_set_t allowed, chosen;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<int> processors;
  for (int each = 0; each < CPU_SETSIZE; ++each) {
    if (CPU_ISSET(each, &allowed)) processors.push_back(each);
  }
  const size_t wanted = std::clamp<size_t>(static_cast<size_t>(std::ceil(cores)), 1, processors.size());
  const auto first = static_cast<size_t>(getpid());  // so that not all attempts share one
  CPU_ZERO(&chosen);
  for (size_t at = 0; at < wanted; ++at) CPU_SET(processors[(first + at) % processors.size()], &chosen);
  sched_setaffinity(0, sizeof chosen, &chosen);
}

uint32_t threads_of_this_user() {
  uint32_t threads = 0;
  for (const Process& each : all_processes()) {
    struct stat status {};
    if (stat(("/proc/" + std::to_string(each.pid)).c_str(), &status) == 0 && status.st_uid == getuid())
      threads += each.threads;
  }
  return threads;
}

void set_limits(const Limits& limits, Millis time) {
  set_limit(RLIMIT_CORE, 0, 0);
  if (limits.memory) set_limit(RLIMIT_DATA, limits.memory, limits.memory);
  if (limits.disk) set_limit(RLIMIT_FSIZE, limits.disk, limits.disk);
  if (limits.pids && geteuid() != 0) {  // holds nobody who is root
    // Counts all that this user runs, other attempts too: room for those, since the guard's look is exact, and this
    // only for what outruns it.
    const rlim_t most = threads_of_this_user() + 2 * rlim_t{limits.pids} + kRoomForOthers;
    set_limit(RLIMIT_NPROC, most, most);
  }
  if (limits.cpu <= 0) return;
  pin(limits.cpu);
  if (time.count() > 0) {
    const double seconds = limits.cpu * static_cast<double>(time.count()) / 1000;
    const auto most = static_cast<rlim_t>(std::ceil(std::max(seconds, 1.0)));
    set_limit(RLIMIT_CPU, most, most + kCpuGrace);
  }
}

/// Says on `failure` why it came to nothing.
[[noreturn]] void fail(int failure, int number, const std::string& what) {
  const std::string line = std::to_string(number) + " " + what;
  [[maybe_unused]] const ssize_t written = write(failure, line.data(), line.size());
  _exit(127);
}

[[noreturn]] void become_the_command(const GuardOrder& order, pid_t guard, int failure) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != guard) _exit(127);
  if (const int number = order.cgroup.empty() ? 0 : join_cgroup(order.cgroup))
    fail(failure, number, "cannot join the cgroup " + order.cgroup.string());
  if (const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); file >= 0) {
    [[maybe_unused]] const ssize_t written = write(file, kOomScore, std::strlen(kOomScore));
    close(file);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> arguments;
  for (const auto& argument : order.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  set_limits(order.rlimits, order.time);  // last: they are for the command
  execvp(arguments[0], arguments.data());
  fail(failure, errno, "cannot run " + order.command[0].substr(0, 200));
}

}  // namespace

Result<pid_t> start_guarded(const GuardOrder& order) {
  int failure[2];
  if (pipe2(failure, O_CLOEXEC)) return system_error("cannot make a pipe", errno);
  const pid_t guard = getpid();
  const pid_t child = fork();
  if (child == 0) become_the_command(order, guard, failure[1]);
  const int number = errno;
  close(failure[1]);
  std::array<char, 1024> told{};
  const ssize_t got = child < 0 ? 0 : read(failure[0], told.data(), told.size() - 1);
  close(failure[0]);
  if (child < 0) return system_error("cannot start a process", number);
  if (got <= 0) return child;
  waitpid(child, nullptr, 0);
  const char* what = std::strchr(told.data(), ' ');
  return system_error(what ? what + 1 : "cannot start the command", std::atoi(told.data()));
}

}  // namespace detent
