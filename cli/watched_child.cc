#include "cli/watched_child.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/child.h"
#include "base/result.h"

namespace detent {

namespace {

/// Blocks the signals that are passed on, so that they can be read, and puts back what was.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t held;
    sigemptyset(&held);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&held, number);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
    fd_ = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(fd_ >= 0, "signals can be read");
  }
  ~SignalsHeld() {
    close(fd_);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  int fd() const { return fd_; }
  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
  int fd_ = -1;
};

/// A reader that leaves (`detent run … | head`) must not end this process before it has told how the command went.
class BrokenPipesBorne {
 public:
  BrokenPipesBorne() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &before_);
  }
  ~BrokenPipesBorne() { sigaction(SIGPIPE, &before_, nullptr); }
  BrokenPipesBorne(const BrokenPipesBorne&) = delete;
  BrokenPipesBorne& operator=(const BrokenPipesBorne&) = delete;

 private:
  struct sigaction before_ {};
};

/// The errno of a failure, or 0. That nobody reads it any more is none.
int write_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(to, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno == EPIPE ? 0 : errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

/// Whether the system, and not the command, is why it was not started.
bool short_of_something(int number) {
  return number == EMFILE || number == ENFILE || number == EAGAIN || number == ENOMEM;
}

}  // namespace

Watched watch(const std::vector<std::string>& command, int out, int err, size_t keep) {
  Watched result;
  const SignalsHeld signals;
  const Millis began = system_now().mono;
  Child::Options options{.command = command, .apart = false, .mask = signals.before(), .max_output = keep};
  options.joined = true;
  options.each = [&](Child::Stream stream, std::string_view piece) {
    // Where it cannot be passed on the command goes on all the same, and its tail is kept.
    const int number = write_all(stream == Child::Stream::out ? out : err, piece);
    if (number && result.lost.empty()) result.lost = std::strerror(number);
  };
  auto child = Child::start(std::move(options), began);
  if (!child) {
    if (short_of_something(child.error().code)) throw Failure(child.error().what);
    result.not_started = command[0] + ": " + std::strerror(child.error().code);
    result.exit_code = child.error().code == ENOENT ? 127 : 126;
    return result;
  }
  const BrokenPipesBorne pipes;  // not for the command, which was started before
  Child::Exit exit = child->wait(signals.fd(), [&] {
    signalfd_siginfo info;
    while (read(signals.fd(), &info, sizeof info) == sizeof info) {
      // A terminal's reach it by themselves.
      if (info.ssi_code <= 0) child->signal(static_cast<int>(info.ssi_signo));
    }
  });
  result.took = system_now().mono - began;
  result.output = std::move(exit.out);
  result.cut = exit.cut;
  result.signal = exit.signal;
  result.exit_code = exit.code;
  return result;
}

}  // namespace detent
