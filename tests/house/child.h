// A real process that a test starts, signals and waits for. It dies with the test, whatever happens to that.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "tests/support/eventually.h"

namespace detent::house {

class Child {
 public:
  struct Options {
    std::vector<std::string> arguments;                              // the program first
    std::vector<std::pair<std::string, std::string>> environment{};  // in addition to ours
    std::filesystem::path log;                                       // appended to: what it writes to stdout and stderr
    std::filesystem::path folder{};                                  // its working folder; empty: ours
  };

  explicit Child(Options options);
  /// Kills it where it still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  const std::filesystem::path& log() const { return options_.log; }
  bool running();
  void signal(int number) const;
  /// Its exit code, or 128 and the signal that ended it; nothing where it still runs after `patience`.
  std::optional<int> wait(Millis patience);
  /// kill -9, and waits until it is gone.
  void kill();

 private:
  Options options_;
  pid_t pid_ = -1;
  std::optional<int> ended_;
};

/// What a program that ends by itself said and how it ended; 124 where it was killed after `patience`.
struct Ended {
  int code = 0;
  std::string output;  // stdout and stderr as they came
};
/// What a sanitizer found in it fails the test.
Ended run(const std::vector<std::string>& arguments, const std::filesystem::path& folder = {},
          Millis patience = Millis{60'000});

std::string read_whole(const std::filesystem::path& file);

/// The first report of a sanitizer in what a process wrote, or nothing: many a process is killed, or its exit code is
/// looked at by nobody.
std::string_view sanitizer_report(std::string_view said);

}  // namespace detent::house
