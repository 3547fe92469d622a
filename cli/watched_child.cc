#include "cli/watched_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/result.h"

namespace detent {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw Failure(system_error("cannot make a pipe", errno).what);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

/// Blocks the signals that are waited for, and puts back what was.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigemptyset(&held_);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&held_, number);
    pthread_sigmask(SIG_BLOCK, &held_, &before_);
    fd_.reset(signalfd(-1, &held_, SFD_CLOEXEC | SFD_NONBLOCK));
    CHECK(fd_.get() >= 0, "signals can be read");
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  int fd() const { return fd_.get(); }
  const sigset_t& before() const { return before_; }

 private:
  sigset_t held_, before_;
  Descriptor fd_;
};

/// A reader that leaves (`detent run … | head`) must not end this process before it has told how the command went.
class BrokenPipesBorne {
 public:
  BrokenPipesBorne() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &before_);
  }
  ~BrokenPipesBorne() { restore(); }
  void restore() const { sigaction(SIGPIPE, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

/// The errno of a failure, or 0. That nobody reads it any more is none.
int write_all(int to, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = write(to, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno == EPIPE ? 0 : errno;
    bytes += written;
    size -= static_cast<size_t>(written);
  }
  return 0;
}

[[noreturn]] void become(const std::vector<std::string>& command, int out, int err, int failed, const sigset_t& mask,
                         const BrokenPipesBorne& pipes) {
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  pipes.restore();
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int number = errno;
  [[maybe_unused]] const auto told = write(failed, &number, sizeof number);
  _exit(number == ENOENT ? 127 : 126);
}

}  // namespace

Watched watch(const std::vector<std::string>& command, int out, int err, size_t keep) {
  Watched result;
  Pipe output, error, failed;
  SignalsHeld signals;
  const BrokenPipesBorne pipes;
  const Millis began = system_now().mono;
  const pid_t child = fork();
  if (child < 0) throw Failure(system_error("cannot start a process", errno).what);
  if (child == 0) become(command, output.write.get(), error.write.get(), failed.write.get(), signals.before(), pipes);
  const Descriptor end(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  if (end.get() < 0) throw Failure(system_error("cannot watch the process", errno).what);
  output.write.reset();
  error.write.reset();
  failed.write.reset();

  struct Stream {
    Descriptor& from;
    int to;
  };
  std::array<Stream, 2> streams{{{output.read, out}, {error.read, err}}};
  for (const Stream& stream : streams) fcntl(stream.from.get(), F_SETFL, O_NONBLOCK);
  std::array<char, 64 * 1024> buffer;
  const auto drain = [&](Stream& stream) {
    for (;;) {
      const ssize_t size = read(stream.from.get(), buffer.data(), buffer.size());
      if (size < 0) return;  // nothing more for now
      if (size == 0) return stream.from.reset();
      // Where it cannot be passed on the command goes on all the same, and its tail is kept.
      if (const int number = write_all(stream.to, buffer.data(), static_cast<size_t>(size));
          number && result.lost.empty())
        result.lost = std::strerror(number);
      result.output.append(buffer.data(), static_cast<size_t>(size));
      if (result.output.size() > 2 * keep) {
        result.output.erase(0, result.output.size() - keep);
        result.cut = true;
      }
    }
  };

  int status = 0;
  bool ended = false;
  while (!ended) {
    pollfd waits[] = {{streams[0].from.get(), POLLIN, 0},
                      {streams[1].from.get(), POLLIN, 0},
                      {signals.fd(), POLLIN, 0},
                      {end.get(), POLLIN, 0}};
    if (poll(waits, 4, -1) < 0 && errno != EINTR) throw Failure(system_error("poll", errno).what);
    for (size_t i = 0; i < 2; ++i) {
      if (waits[i].revents) drain(streams[i]);
    }
    signalfd_siginfo info;
    while (read(signals.fd(), &info, sizeof info) == sizeof info) {
      if (info.ssi_code <= 0) kill(child, static_cast<int>(info.ssi_signo));  // a terminal's reach it by themselves
    }
    ended = waitpid(child, &status, WNOHANG) == child;
  }
  for (Stream& stream : streams) {
    if (stream.from.get() >= 0) drain(stream);
  }
  result.took = system_now().mono - began;
  if (result.output.size() > keep) {
    result.output.erase(0, result.output.size() - keep);
    result.cut = true;
  }
  int number = 0;
  if (read(failed.read.get(), &number, sizeof number) == sizeof number) {
    result.not_started = command[0] + ": " + std::strerror(number);
  }
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  result.exit_code = result.signal ? 128 + result.signal : WEXITSTATUS(status);
  return result;
}

}  // namespace detent
