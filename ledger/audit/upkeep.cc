#include "ledger/audit/upkeep.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "ledger/audit/committer.h"
#include "ledger/repository/git_command.h"

namespace detent {
namespace {

using Kind = LedgerAlarm::Kind;
constexpr int kSilentPushFailures = 3;

/// What the operator is to do about a remote branch that is not a part of this ledger: nothing there is written over
/// without a person's word, and nothing need be lost.
std::string how_to_replace(const AuditLog::Options& options, Millis wall) {
  const std::string git = "git -C " + options.repository.string(), remote = without_credentials(options.remote),
                    kept = options.branch + "-" + utc(wall).substr(0, 10);
  return fmt::format(
      "To keep what is there as {0} and go on, as the broker's user: `{1} fetch {2} {3} && {1} push --atomic {2} "
      "FETCH_HEAD:refs/heads/{0} +refs/heads/{3}`",
      kept, git, remote, options.branch);
}

}  // namespace

Upkeep::Upkeep(const AuditLog::Options& options, Repository& repository, LedgerAlarms& alarms)
    : options_{options},
      repository_{repository},
      alarms_{alarms},
      packer_{{.repository = options.repository,
               .max_loose = options.max_loose,
               .max_packs = options.max_packs,
               .low_water = options.low_water}} {
  if (options.remote.empty()) return;
  const Millis every{static_cast<Millis::rep>(60'000 / std::max(0.01, options.pushes_per_minute))};
  pusher_.emplace(Pusher::Options{.repository = options.repository,
                                  .remote = {options.remote, options.ssh_command},
                                  .branch = options.branch,
                                  .every = every,
                                  .deadline = options.push_deadline});
}

void Upkeep::wants_push() {
  if (pusher_) pusher_->wanted();
}

void Upkeep::committed() {
  packer_.committed();
  wants_push();
}

void Upkeep::turn(Now now) {
  if (pusher_) {
    if (const auto result = pusher_->turn(now.mono)) pushed(*result, now);
  }
  if (const auto outcome = packer_.turn(now.mono)) packed(*outcome, now);
}

void Upkeep::pushed(const PushResult& result, Now now) {
  switch (result.outcome) {
    case PushOutcome::pushed:
    case PushOutcome::up_to_date:
      for (const Kind kind : {Kind::push_failing, Kind::push_refused, Kind::push_diverged}) {
        alarms_.clear(kind, "the remote holds the ledger again");
      }
      break;
    case PushOutcome::lost:
      if (pusher_->failures() >= kSilentPushFailures || result.reason.find("lock") == std::string::npos) {
        alarms_.raise(Kind::push_diverged, "the remote's branch is not where this ledger left it: " + result.reason,
                      how_to_replace(options_, now.wall));
      }
      break;
    case PushOutcome::refused:
      alarms_.raise(Kind::push_refused, "the remote refuses the ledger: " + result.reason,
                    "Let this user push " + options_.branch + " there. The local ledger goes on.");
      break;
    case PushOutcome::unreachable:
      spdlog::info("ledger: push: {}", result.reason);
      mend_and_say(options_, alarms_, now);
      if (pusher_->failures() >= kSilentPushFailures) {
        alarms_.raise(Kind::push_failing,
                      fmt::format("{} pushes in a row failed: {}", pusher_->failures(), result.reason),
                      "It is tried again by itself. The local ledger goes on.");
      }
      break;
  }
}

void Upkeep::packed(const Packer::Outcome& outcome, Now now) {
  const auto done = outcome.packed ? repository_.reopen() : Result<>{Error{"git repack failed: " + outcome.reason}};
  if (done) {
    alarms_.clear(Kind::packing_failed, "the ledger is packed again");
    return;
  }
  mend_and_say(options_, alarms_, now);
  alarms_.raise(Kind::packing_failed, done.error().what,
                "It is tried again by itself. The ledger goes on, and takes more space than it needs.");
}

std::optional<Millis> Upkeep::wait(Millis mono) const {
  const auto push = pusher_ ? pusher_->wait(mono) : std::nullopt, pack = packer_.wait();
  return push && pack ? std::min(push, pack) : push ? push : pack;
}

}  // namespace detent
