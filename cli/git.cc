#include "cli/git.h"

#include "base/child.h"
#include "base/result.h"
#include "cli/text.h"

namespace detent {

namespace {
constexpr Millis kPatience{30'000};
constexpr size_t kOutputKept = 2 << 20;
}  // namespace

std::string git(const std::string& folder, const std::vector<std::string>& arguments) {
  std::vector<std::string> command{"git", "-C", folder};
  command.insert(command.end(), arguments.begin(), arguments.end());
  Child child =
      Child::start(
          {.command = std::move(command), .deadline = kPatience, .max_output = kOutputKept, .keeps_first = true},
          system_now().mono)
          .value();
  Child::Exit exit = child.wait();
  if (exit.timed_out) throw Failure("git " + arguments.front() + " in " + folder + " took longer than 30 s");
  if (exit.code != 0) throw Failure("git " + arguments.front() + " in " + folder + ": " + plain(exit.err));
  if (exit.out.ends_with('\n')) exit.out.pop_back();
  return std::move(exit.out);
}

}  // namespace detent
