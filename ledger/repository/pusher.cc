#include "ledger/repository/pusher.h"

#include <algorithm>

namespace detent {

namespace {
constexpr Millis kPoll{20};
}

std::optional<PushResult> Pusher::turn(Millis mono) {
  if (!child_) {
    if (!wanted_ || mono < not_before_) return std::nullopt;
    const std::string ref = "refs/heads/" + options_.branch;
    auto command = git_command(options_.repository, {"push", "--porcelain", "--no-verify", "detent", ref + ":" + ref},
                               &options_.remote);
    command.deadline = options_.deadline;
    auto child = Child::start(std::move(command), mono);
    wanted_ = false;
    not_before_ = mono + options_.every;
    if (!child) return settle({PushOutcome::unreachable, child.error().what}, mono);
    child_ = std::move(*child);
  }
  const auto exit = child_->poll(mono);
  if (!exit) return std::nullopt;
  child_.reset();
  return settle(push_result(*exit), mono);
}

PushResult Pusher::settle(PushResult result, Millis mono) {
  if (result.outcome == PushOutcome::pushed || result.outcome == PushOutcome::up_to_date) {
    failures_ = 0;
    last_success_ = mono;
    return result;
  }
  wanted_ = true;
  const int doublings = std::min(failures_++, 16);
  const Millis pause = result.outcome == PushOutcome::refused
                           ? options_.refused_retry
                           : std::min(options_.max_retry, options_.min_retry * (1 << doublings));
  not_before_ = std::max(not_before_, mono + pause);
  return result;
}

std::optional<Millis> Pusher::wait(Millis mono) const {
  if (child_) return kPoll;
  if (!wanted_) return std::nullopt;
  return std::max(Millis{0}, not_before_ - mono);
}

}  // namespace detent
