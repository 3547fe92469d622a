// Another program, run by us: one place for how it is started, fed, listened to, ended and reaped.
//
// Either it stands apart, in a process group of its own, so that what it starts (ssh, git-remote-https) ends with it;
// or it is run as a shell would run it, in our group, on our terminal, with our standard input.
//
// Belongs to one thread. `poll` never blocks; `wait` is for those who have nothing else to do.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

class Child {
 public:
  enum class Stream { out, err };

  struct Options {
    std::vector<std::string> command;                              // found in PATH
    std::vector<std::pair<std::string, std::string>> environment;  // on top of ours
    std::vector<std::string> without;                              // of ours, these not
    std::filesystem::path folder;                                  // its working folder; empty: ours

    /// Apart: none of our descriptors, no signal blocked or ignored. Else: our standard input, our descriptors that are
    /// not close-on-exec, the signals that we ignore, and `mask`; what it leaves behind goes on.
    bool apart = true;
    std::optional<sigset_t> mask;      // of a child that is not apart; empty: that of this thread
    std::string input;                 // its standard input where it is apart, as a file; it may be large
    std::optional<Millis> deadline{};  // then TERM …
    Millis grace{2'000};               // … then KILL

    std::size_t max_output = 256 << 10;                  // kept of each stream; the rest is read and dropped
    bool keeps_first = false;                            // and not the last of it
    bool joined = false;                                 // what is kept of both is kept as one, in `out`
    std::function<void(Stream, std::string_view)> each;  // is also called with all of it, as it comes
    int held_file = -1;  // a descriptor it inherits (as 3): a lock on it holds until the child and all its own end
  };

  struct Exit {
    int code = 0;            // its exit code; 128 + the signal where one ended it
    int signal = 0;          // that signal, or 0
    bool timed_out = false;  // we ended it
    std::string out;
    std::string err;
    bool cut = false;  // some of either was dropped
  };

  /// The error's code is that of exec(2) where the program could not be run: ENOENT where there is none.
  static Result<Child> start(Options options, Millis mono);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  /// Kills it where it still runs, with its group where it is apart.
  ~Child();

  /// Reads what it said, ends it when its time is up. Its exit, once, when it has ended. Something it started that
  /// keeps the pipes open does not delay that: for longer than half a second where it is apart, at all where it is not.
  std::optional<Exit> poll(Millis mono);
  /// Waits for that. Meanwhile, whenever the descriptor `also` can be read, calls `readable`.
  Exit wait(int also = -1, const std::function<void()>& readable = {});

  /// Sends the signal to it, and to its group where it is apart.
  void signal(int number) const;
  pid_t pid() const { return pid_; }
  /// Can be read when `poll` has something to do before its times: its streams, and that it has ended.
  std::vector<int> descriptors() const;

 private:
  struct Output {
    int pipe = -1;
    std::string text;
  };

  Child() = default;
  void read(Output& from, Stream stream);
  void keep(std::string& into, std::string_view piece);
  void bound(std::string& text);
  void close_all();

  Options options_;  // its command and input no longer
  pid_t pid_ = -1;
  int ended_ = -1;  // a pidfd: readable when it has ended; or none, where the system has no descriptor left
  Output out_, err_;
  std::optional<Millis> terminate_at_;
  bool terminated_ = false;
  std::optional<int> status_;  // as a shell gives it; seen to have ended, not yet reaped
  Millis exited_{0};
  Exit exit_;
};

}  // namespace detent
