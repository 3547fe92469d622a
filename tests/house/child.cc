#include "tests/house/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/result.h"

namespace detent::house {

namespace {

[[noreturn]] void become(const std::vector<char*>& arguments, const std::vector<char*>& environment, int log,
                         const char* folder) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  if (*folder && chdir(folder) != 0) _exit(126);
  execvpe(arguments[0], arguments.data(), environment.data());
  _exit(127);
}

}  // namespace

Child::Child(Options options) : options_(std::move(options)) {
  const int log = open(options_.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) throw Failure(system_error("cannot write " + options_.log.string(), errno).what);
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  std::vector<std::string> texts;
  for (char** each = environ; *each; ++each) texts.emplace_back(*each);
  for (const auto& [name, value] : options_.environment) texts.push_back(name + "=" + value);
  std::vector<char*> environment, arguments;
  for (std::string& text : texts) environment.push_back(text.data());
  for (std::string& argument : options_.arguments) arguments.push_back(argument.data());
  environment.push_back(nullptr);
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(in, STDIN_FILENO);
    become(arguments, environment, log, options_.folder.c_str());
  }
  const int failed = errno;
  close(log);
  close(in);
  if (pid_ < 0) throw Failure(system_error("cannot fork", failed).what);
}

Child::~Child() { kill(); }

bool Child::running() { return !wait(Millis{0}); }

void Child::signal(int number) const {
  if (!ended_) ::kill(pid_, number);
}

std::optional<int> Child::wait(Millis patience) {
  eventually(
      [this] {
        if (ended_) return true;
        int status = 0;
        const pid_t done = waitpid(pid_, &status, WNOHANG);
        if (done != pid_) return false;
        ended_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return true;
      },
      patience);
  return ended_;
}

void Child::kill() {
  signal(SIGKILL);
  wait(Millis{10'000});
}

Ended run(const std::vector<std::string>& arguments, const std::filesystem::path& folder, Millis patience) {
  std::string file = (std::filesystem::temp_directory_path() / "detent-run-XXXXXX").string();
  const int made = mkstemp(file.data());
  if (made < 0) throw Failure(system_error("cannot make " + file, errno).what);
  close(made);
  Ended ended;
  {
    Child child({.arguments = arguments, .log = file, .folder = folder});
    ended.code = child.wait(patience).value_or(124);
  }
  ended.output = read_whole(file);
  std::filesystem::remove(file);
  if (const auto report = sanitizer_report(ended.output); !report.empty()) ADD_FAILURE() << report;
  return ended;
}

std::string read_whole(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

std::string_view sanitizer_report(std::string_view said) {
  constexpr size_t kMax = 8'000;
  size_t at = said.npos;
  for (const char* mark :
       {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", ": runtime error: "}) {
    at = std::min(at, said.find(mark));
  }
  if (at == said.npos) return {};
  const size_t line = said.rfind('\n', at);
  return said.substr(line == said.npos ? 0 : line + 1, kMax);
}

}  // namespace detent::house
