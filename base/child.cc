#include "base/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

extern char** environ;

namespace detent {
namespace {

/// How long the output of a child that ended is still read while something it started keeps the pipe open.
constexpr Millis kLinger{500};
constexpr Millis kLook{20};       // at a child whose end cannot be waited for
constexpr int kBitesAtOnce = 64;  // of 16 KiB, before its end is looked at again

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_{number} {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  void operator=(int number) { number_ = number; }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

struct Pipe {
  Descriptor read, write;
  bool open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return false;
    read = ends[0];
    write = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
  }
};

/// A file in memory that holds `text`, to be read from its beginning.
Result<> fill(Descriptor& file, std::string_view text) {
  file = memfd_create("input", MFD_CLOEXEC);
  if (file.get() < 0) return system_error("cannot make a file in memory", errno);
  while (!text.empty()) {
    const ssize_t written = write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("cannot write a file in memory", errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return system_error("cannot read a file in memory", errno);
  return {};
}

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
  out.reserve(all.size());
  for (const auto& [name, value] : all) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (auto& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// What the child finds open.
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void set(const Child::Options& options, int input, int out, int err) {
    if (options.apart && input < 0) posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    if (options.apart && input >= 0) posix_spawn_file_actions_adddup2(&actions_, input, 0);
    posix_spawn_file_actions_adddup2(&actions_, out, 1);
    posix_spawn_file_actions_adddup2(&actions_, err, 2);
    if (options.held_file >= 0) posix_spawn_file_actions_adddup2(&actions_, options.held_file, 3);
    if (options.apart) posix_spawn_file_actions_addclosefrom_np(&actions_, options.held_file >= 0 ? 4 : 3);
    if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions_, options.folder.c_str());
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

/// Its group and signals.
class Attributes {
 public:
  explicit Attributes(const Child::Options& options) {
    posix_spawnattr_init(&attributes_);
    sigset_t set;
    if (options.apart) {
      sigfillset(&set);
      posix_spawnattr_setsigdefault(&attributes_, &set);
      sigemptyset(&set);
      posix_spawnattr_setsigmask(&attributes_, &set);
      posix_spawnattr_setpgroup(&attributes_, 0);
      posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    } else if (options.mask) {
      posix_spawnattr_setsigmask(&attributes_, &*options.mask);
      posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
    }
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<Child> Child::start(Options options, Millis mono) {
  CHECK(!options.command.empty(), "a child without a command");
  CHECK(options.apart || options.input.empty(), "a child with our standard input has none of its own");
  Pipe out, err;
  if (!out.open() || !err.open()) return system_error("cannot make a pipe", errno);
  Descriptor input;
  if (!options.input.empty()) {
    if (const auto filled = fill(input, options.input); !filled) return filled.error();
  }
  FileActions files;
  files.set(options, input.get(), out.write.get(), err.write.get());
  const Attributes attributes(options);
  auto environment = environment_with(options.environment, options.without);
  const auto argv = pointers(options.command), envp = pointers(environment);
  pid_t pid = -1;
  const int number = posix_spawnp(&pid, argv[0], files.get(), attributes.get(), argv.data(), envp.data());
  if (number) return system_error("cannot start " + options.command.front(), number);

  Child child;
  child.pid_ = pid;
  child.ended_ = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  child.out_.pipe = out.read.release();
  child.err_.pipe = err.read.release();
  if (options.deadline) child.terminate_at_ = mono + *options.deadline;
  options.command.clear();
  options.input = {};
  child.options_ = std::move(options);
  return child;
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  close_all();
  options_ = std::move(other.options_);
  pid_ = std::exchange(other.pid_, -1);
  ended_ = std::exchange(other.ended_, -1);
  for (auto [to, from] : {std::pair{&out_, &other.out_}, std::pair{&err_, &other.err_}}) {
    to->pipe = std::exchange(from->pipe, -1);
    to->text = std::move(from->text);
  }
  terminate_at_ = other.terminate_at_;
  terminated_ = other.terminated_;
  status_ = other.status_;
  exited_ = other.exited_;
  exit_ = std::move(other.exit_);
  return *this;
}

Child::~Child() { close_all(); }

void Child::signal(int number) const {
  if (pid_ > 0) kill(options_.apart ? -pid_ : pid_, number);
}

void Child::close_all() {
  if (pid_ > 0) {
    // Reaped only after its group is gone: until then nobody else can be given its number.
    if (options_.apart || !status_) signal(SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  for (int* descriptor : {&out_.pipe, &err_.pipe, &ended_}) {
    if (*descriptor >= 0) close(std::exchange(*descriptor, -1));
  }
}

void Child::keep(std::string& into, std::string_view piece) {
  if (options_.keeps_first) {
    const std::size_t room = options_.max_output - into.size();
    exit_.cut |= piece.size() > room;
    into.append(piece.substr(0, room));
    return;
  }
  into.append(piece);
  if (into.size() > 2 * options_.max_output) bound(into);
}

void Child::bound(std::string& text) {
  if (text.size() <= options_.max_output) return;
  text.erase(0, text.size() - options_.max_output);
  exit_.cut = true;
}

void Child::read(Output& from, Stream stream) {
  std::array<char, 16 << 10> buffer;
  for (int bites = 0; from.pipe >= 0 && bites < kBitesAtOnce; ++bites) {
    const ssize_t got = ::read(from.pipe, buffer.data(), buffer.size());
    if (got > 0) {
      const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
      if (options_.each) options_.each(stream, piece);
      keep(options_.joined ? out_.text : from.text, piece);
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else if (got < 0 && errno == EAGAIN) {
      return;
    } else {
      close(std::exchange(from.pipe, -1));
    }
  }
}

std::vector<int> Child::descriptors() const {
  std::vector<int> out;
  for (const int each : {out_.pipe, err_.pipe, status_ ? -1 : ended_}) {
    if (each >= 0) out.push_back(each);
  }
  return out;
}

std::optional<Child::Exit> Child::poll(Millis mono) {
  if (pid_ <= 0) return std::nullopt;
  read(out_, Stream::out);
  read(err_, Stream::err);
  if (!status_) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_) {
      exit_.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
      status_ = exit_.signal ? 128 + exit_.signal : info.si_status;
      exited_ = mono;
    } else if (terminate_at_ && mono >= *terminate_at_ + options_.grace) {
      signal(SIGKILL);
    } else if (terminate_at_ && mono >= *terminate_at_ && !terminated_) {
      terminated_ = exit_.timed_out = true;
      signal(SIGTERM);
    }
  }
  if (!status_) return std::nullopt;
  // What it said last came before its end.
  read(out_, Stream::out);
  read(err_, Stream::err);
  const bool talking = out_.pipe >= 0 || err_.pipe >= 0;
  if (talking && options_.apart && !exit_.timed_out && mono - exited_ < kLinger) return std::nullopt;
  exit_.code = *status_;
  for (Output* output : {&out_, &err_}) bound(output->text);
  exit_.out = std::move(out_.text);
  exit_.err = std::move(err_.text);
  close_all();
  return std::move(exit_);
}

Child::Exit Child::wait(int also, const std::function<void()>& readable) {
  CHECK(pid_ > 0, "a child is waited for twice");
  for (;;) {
    const Millis mono = system_now().mono;
    if (auto exit = poll(mono)) return std::move(*exit);
    std::array<pollfd, 4> waits{
        {{out_.pipe, POLLIN, 0}, {err_.pipe, POLLIN, 0}, {status_ ? -1 : ended_, POLLIN, 0}, {also, POLLIN, 0}}};
    Millis pause{-1};
    if (status_ || ended_ < 0) {
      pause = kLook;
    } else if (terminate_at_) {
      const Millis next = terminated_ ? *terminate_at_ + options_.grace : *terminate_at_;
      pause = std::clamp(next - mono, Millis{1}, Millis{60'000});
    }
    ::poll(waits.data(), waits.size(), static_cast<int>(pause.count()));
    if (also >= 0 && waits[3].revents && readable) readable();
  }
}

}  // namespace detent
