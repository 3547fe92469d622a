#include "base/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

extern char** environ;

namespace detent {
namespace {

/// How long the output of a child that ended is still read while something it started keeps the pipe open.
constexpr Millis kLinger{500};

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& more,
                                          const std::vector<std::string>& without) {
  std::map<std::string, std::string> all;
  for (char** at = environ; *at; ++at) {
    const std::string_view entry = *at;
    const auto equals = entry.find('=');
    if (equals != std::string_view::npos)
      all[std::string{entry.substr(0, equals)}] = std::string{entry.substr(equals + 1)};
  }
  for (const auto& name : without) all.erase(name);
  for (const auto& [name, value] : more) all[name] = value;
  std::vector<std::string> out;
  for (const auto& [name, value] : all) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

Result<Child> Child::start(Options options, Millis mono) {
  CHECK(!options.command.empty(), "a child without a command");
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC)) return system_error("cannot make a pipe", errno);
  if (pipe2(err, O_CLOEXEC)) {
    const int number = errno;
    close(out[0]), close(out[1]);
    return system_error("cannot make a pipe", number);
  }

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out[1], 1);
  posix_spawn_file_actions_adddup2(&files, err[1], 2);
  if (options.held_file >= 0) posix_spawn_file_actions_adddup2(&files, options.held_file, 3);
  posix_spawn_file_actions_addclosefrom_np(&files, options.held_file >= 0 ? 4 : 3);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);

  auto environment = environment_with(options.environment, options.without);
  const auto argv = pointers(options.command), envp = pointers(environment);
  pid_t pid = -1;
  const int number = posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(out[1]), close(err[1]);
  if (number) {
    close(out[0]), close(err[0]);
    return system_error("cannot start " + options.command.front(), number);
  }
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);

  Child child;
  child.pid_ = pid;
  child.out_ = out[0];
  child.err_ = err[0];
  child.output_most_ = options.output_most;
  child.terminate_at_ = mono + options.deadline;
  child.kill_at_ = child.terminate_at_ + options.grace;
  return child;
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  close_all();
  pid_ = std::exchange(other.pid_, -1);
  out_ = std::exchange(other.out_, -1);
  err_ = std::exchange(other.err_, -1);
  output_most_ = other.output_most_;
  terminate_at_ = other.terminate_at_;
  kill_at_ = other.kill_at_;
  terminated_ = other.terminated_;
  status_ = other.status_;
  exited_ = other.exited_;
  exit_ = std::move(other.exit_);
  return *this;
}

Child::~Child() { close_all(); }

void Child::close_all() {
  if (pid_ > 0) {
    // Reaped only after its group is gone: until then nobody else can be given its number.
    kill(-pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  for (int* pipe : {&out_, &err_}) {
    if (*pipe >= 0) close(std::exchange(*pipe, -1));
  }
}

void Child::read(int& pipe, std::string& into) {
  char buffer[16 << 10];
  for (int bites = 0; pipe >= 0 && bites < 64; ++bites) {
    const ssize_t got = ::read(pipe, buffer, sizeof buffer);
    if (got > 0) {
      into.append(buffer, std::min(static_cast<std::size_t>(got), output_most_ - into.size()));
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else if (got < 0 && errno == EAGAIN) {
      return;
    } else {
      close(std::exchange(pipe, -1));
    }
  }
}

std::optional<Child::Exit> Child::poll(Millis mono) {
  if (pid_ <= 0) return std::nullopt;
  read(out_, exit_.out);
  read(err_, exit_.err);
  if (!status_) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_) {
      status_ = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
      exited_ = mono;
    } else if (mono >= kill_at_) {
      kill(-pid_, SIGKILL);
    } else if (mono >= terminate_at_ && !terminated_) {
      terminated_ = exit_.timed_out = true;
      kill(-pid_, SIGTERM);
    }
  }
  if (!status_) return std::nullopt;
  read(out_, exit_.out);
  read(err_, exit_.err);
  if ((out_ >= 0 || err_ >= 0) && !exit_.timed_out && mono - exited_ < kLinger) return std::nullopt;
  exit_.code = *status_;
  close_all();
  return std::move(exit_);
}

Child::Exit Child::wait() {
  CHECK(pid_ > 0, "a child is waited for twice");
  for (;;) {
    if (auto exit = poll(system_now().mono)) return std::move(*exit);
    pollfd pipes[] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
    ::poll(pipes, 2, 20);
  }
}

}  // namespace detent
