// A program that runs beside us, never for longer than its deadline: in a process group of its own, so that what it
// starts (ssh, git-remote-https) ends with it. The owner polls it; nothing here blocks but the destructor, for a
// moment.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

class Child {
 public:
  struct Options {
    std::vector<std::string> command;                              // found in PATH; stdin is /dev/null
    std::vector<std::pair<std::string, std::string>> environment;  // on top of ours
    std::vector<std::string> without;                              // of ours, these not
    Millis deadline{60'000};                                       // then TERM to the group
    Millis grace{2'000};                                           // then KILL
    std::size_t output_most = 256 << 10;                           // kept of each stream; the rest is read and dropped
    int held_file = -1;  // a descriptor it inherits (as 3): a lock on it holds until the child and all its own end
  };

  struct Exit {
    int code = 0;            // its exit code; 128 + the signal where one ended it
    bool timed_out = false;  // we ended it
    std::string out;
    std::string err;
  };

  static Result<Child> start(Options options, Millis mono);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  /// Kills the group where it still runs.
  ~Child();

  /// Reads what it said, ends it when its time is up. Its exit, once, when it is over.
  std::optional<Exit> poll(Millis mono);
  /// Waits for the end, or for the deadline. For programs that have nothing else to do.
  Exit wait();

  pid_t pid() const { return pid_; }

 private:
  Child() = default;
  void read(int& pipe, std::string& into);
  void close_all();

  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::size_t output_most_ = 0;
  Millis terminate_at_{0};
  Millis kill_at_{0};
  bool terminated_ = false;
  std::optional<int> status_;  // seen to have ended, not yet reaped
  Millis exited_{0};
  Exit exit_;
};

}  // namespace detent
