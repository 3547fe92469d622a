#include "ledger/board/task_remote.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "ledger/text.h"

namespace detent {

namespace {
constexpr Millis kPoll{100};
constexpr int kSilentFailures = 3;
}  // namespace

TaskRemote::TaskRemote(Pusher::Options push, Millis fetch_every)
    : options_(push),
      pusher_(std::move(push)),
      fetch_every_(fetch_every),
      fetched_ref_("refs/detent/fetched/" + options_.branch) {}

void TaskRemote::turn(Millis mono) {
  fetch(mono);
  const auto pushed = pusher_.turn(mono);
  if (!pushed) return;
  switch (pushed->outcome) {
    case PushOutcome::pushed:
    case PushOutcome::up_to_date:
      trouble_.clear();
      break;
    case PushOutcome::lost:
      stirred();  // somebody committed there
      break;
    case PushOutcome::refused:
      trouble_ = "the remote refuses " + options_.branch + ": " + pushed->reason;
      break;
    case PushOutcome::unreachable:
      if (pusher_.failures() >= kSilentFailures)
        trouble_ =
            fmt::format("{} pushes of {} in a row failed: {}", pusher_.failures(), options_.branch, pushed->reason);
      break;
  }
}

void TaskRemote::fetch(Millis mono) {
  if (fetch_) {
    if (const auto exit = fetch_->poll(mono)) {
      fetched(*exit);
      fetch_.reset();
    }
    return;
  }
  if (mono < fetch_at_) return;
  fetch_at_ = mono + fetch_every_;
  auto command = git_command(options_.repository,
                             {"-c", "core.fsync=all", "fetch", "-q", "--no-tags", "--no-write-fetch-head", "detent",
                              fmt::format("+refs/heads/{}:{}", options_.branch, fetched_ref_)},
                             &options_.remote);
  command.deadline = options_.deadline;
  auto child = Child::start(std::move(command), mono);
  if (child) {
    fetch_ = std::move(*child);
  } else {
    spdlog::warn("tasks: git cannot be run: {}", child.error().what);
  }
}

void TaskRemote::fetched(const Child::Exit& exit) {
  const bool has_none = exit.err.find("couldn't find remote ref") != std::string::npos;
  if (exit.code == 0 || has_none) {
    failed_fetches_ = 0;
  } else if (++failed_fetches_ == kSilentFailures) {
    spdlog::warn("tasks: what people commit to {} at the remote does not come: {}", options_.branch,
                 exit.timed_out ? "no answer before the deadline" : one_line(without_credentials(exit.err), 300));
  }
}

Millis TaskRemote::wait(Millis mono) const {
  if (fetch_ || pusher_.busy()) return kPoll;
  return std::max(Millis{0}, std::min(fetch_at_ == Millis::min() ? Millis{0} : fetch_at_ - mono,
                                      pusher_.wait(mono).value_or(fetch_every_)));
}

}  // namespace detent
