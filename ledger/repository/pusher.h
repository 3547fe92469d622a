// Brings one branch to a remote, by a `git push` that is polled: coalesced, with back-off, never forced.
//
// Belongs to one thread, which calls `turn` and is never made to wait.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/repository/git_command.h"

namespace detent {

class Pusher {
 public:
  struct Options {
    std::filesystem::path repository;
    Remote remote;
    std::string branch;
    Millis every{10'000};       // at most one push in this time
    Millis deadline{60'000};    // for one push
    Millis min_retry{10'000};   // after a failure, doubled each time …
    Millis max_retry{600'000};  // … up to this
    Millis refused_retry{900'000};
  };

  explicit Pusher(Options options) : options_{std::move(options)} {}

  /// There is something to push.
  void wanted() { wanted_ = true; }
  /// Starts a push where one is due, and polls the one under way. What became of it, once.
  std::optional<PushResult> turn(Millis mono);
  /// How long until `turn` has something to do; empty: nothing to push.
  std::optional<Millis> wait(Millis mono) const;

  bool busy() const { return child_.has_value(); }
  bool idle() const { return !child_ && !wanted_; }
  int failures() const { return failures_; }
  std::optional<Millis> last_success() const { return last_success_; }

 private:
  PushResult settle(PushResult result, Millis mono);

  Options options_;
  std::optional<Child> child_;
  bool wanted_ = false;
  int failures_ = 0;  // in a row
  Millis not_before_{Millis::min()};
  std::optional<Millis> last_success_;
};

}  // namespace detent
