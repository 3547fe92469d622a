#include "ledger/audit/committer.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ledger/repository/mend.h"
#include "ledger/repository/room.h"

namespace detent {
namespace {

using Kind = LedgerAlarm::Kind;
constexpr const char* kStatusFile = "STATUS.md";
constexpr int kTries = 3;            // against a second writer, before the next turn
constexpr Millis kMinRetry{1'000};   // after a failure, doubled each time …
constexpr Millis kMaxRetry{10'000};  // … up to this

/// What a person can do about a failure of the system's.
std::string remedy_of(int number, const AuditLog::Options& options) {
  const std::string goes_on = " Nothing is lost: what waits is committed once that succeeds.";
  switch (number) {
    case ENOSPC:
    case EDQUOT:
      return fmt::format("Free space on the disk of {}.{}", options.repository.string(), goes_on);
    case EMFILE:
      return "Raise the limit of open files (LimitNOFILE= of the service)." + goes_on;
    case EACCES:
    case EPERM:
    case EROFS:
      return fmt::format("Let the broker's user write to {}.{}", options.repository.string(), goes_on);
    case EIO:
      return fmt::format("Look at the disk of {} (dmesg).{}", options.repository.string(), goes_on);
    default:
      return {};
  }
}

}  // namespace

Committer::Committer(const AuditLog::Options& options, Repository& repository, AuditBranch& branch,
                     LedgerAlarms& alarms, Now now)
    : options_{options},
      repository_{repository},
      branch_{branch},
      alarms_{alarms},
      lock_{options.repository, options.branch, now.mono} {}

Result<std::string> Committer::free_path(const std::string& stem) {
  std::string path = stem + ".jsonl";
  for (int n = 1; branch_.tree(); ++n) {
    const auto taken = repository_.find(*branch_.tree(), path);
    if (!taken) return taken.error();
    if (!*taken) break;
    path = fmt::format("{}.{}.jsonl", stem, n);
  }
  return Result<std::string>{boost::system::in_place_value, std::move(path)};
}

Result<bool> Committer::status_differs(const std::optional<Oid>& tree) {
  if (status_.empty()) return false;
  if (!tree) return true;
  if (status_tree_ != tree) {
    const auto entry = repository_.find(*tree, kStatusFile);
    if (!entry) return entry.error();
    status_there_.clear();
    if (*entry) {
      auto text = repository_.blob((*entry)->id);
      // A damaged one is written over.
      if (!text && text.error().code != EBADMSG) return text.error();
      if (text) status_there_ = std::move(*text);
    }
    status_tree_ = tree;
  }
  return status_there_ != status_;
}

Result<AuditBranch::Advance> Committer::attempt(CommitDraft batch) {
  CommitNote& note = batch.note;
  auto path = free_path(batch.stem);
  if (!path) return path.error();
  note.file = std::move(*path);
  std::vector<Repository::File> files{{note.file, batch.content, true}};
  const auto differs = status_differs(branch_.tree());
  if (!differs) return differs.error();
  if (*differs) files.push_back({kStatusFile, status_});

  const auto tree = repository_.write_tree(branch_.tree(), files);
  if (!tree) return tree.error();
  const auto id = repository_.write_commit(*tree, branch_.parent(), message_of(note), options_.author, batch.when);
  if (!id) return id.error();
  const auto advanced = branch_.advance(*id, *tree, std::move(note.state));
  if (advanced && *advanced == AuditBranch::Advance::done) {
    if (*differs) status_there_ = status_;
    if (*differs || status_tree_) status_tree_ = *tree;
  }
  return advanced;
}

/// Mends what was damaged while we ran, as the next start would; but never begins anew: what only seems to be missing
/// (a file of git's that is being replaced, say) is not to cost a running ledger its history. True: something was
/// mended.
bool Committer::mend(Now now) {
  const bool files = mend_and_say(options_, alarms_, now);
  // What git has packed meanwhile is not to pass for damage.
  if (const auto reopened = repository_.reopen(); !reopened) return false;
  const auto refs = branch_.mend(alarms_.sink(), now.wall);
  return files || (refs && *refs);
}

Result<> Committer::attempt_all(const PendingRecords& records, const std::vector<std::uint64_t>& places,
                                const std::map<std::uint64_t, std::uint64_t>& held, Now now) {
  if (const auto room = check_room(options_.repository, room_for_commits(options_.low_water)); !room) {
    return room.error();
  }
  if (reopens_) {
    if (const auto reopened = repository_.reopen(); !reopened) return reopened.error();
    reopens_ = false;
  }
  for (int tries = 0; tries < kTries; ++tries) {
    const auto stands = branch_.reconcile(alarms_.sink());
    const auto advanced = stands ? attempt(batch_of(records, places, branch_.state(), held, now.wall)) : stands.error();
    if (!advanced) {
      // What this try wrote is of use to no other, which may hold more records.
      repository_.discard();
      if (advanced.error().code == EBADMSG && mend(now)) continue;
      return advanced.error();
    }
    switch (*advanced) {
      case AuditBranch::Advance::done:
        return {};
      case AuditBranch::Advance::locked:
        if (lock_.break_stale(now.mono)) continue;
        return Error{
            fmt::format("{} in {} is locked by another process", options_.branch, repository_.path().string())};
      case AuditBranch::Advance::lost:
        continue;
    }
  }
  return Error{fmt::format("another process keeps moving {} in {}", options_.branch, repository_.path().string())};
}

Result<> Committer::commit(const PendingRecords& records, const std::vector<std::uint64_t>& places,
                           const std::map<std::uint64_t, std::uint64_t>& held, Now now) {
  if (const auto done = attempt_all(records, places, held, now); !done) {
    retry_at_ = now.mono + std::min(kMaxRetry, kMinRetry * (1 << std::min(failures_++, 8)));
    reopens_ = true;
    alarms_.raise(Kind::write_failed, done.error().what, remedy_of(done.error().code, options_));
    return done.error();
  }
  retry_at_ = Millis::min();
  failures_ = 0;
  lock_.forget();
  for (const Kind kind : {Kind::write_failed, Kind::diverged, Kind::chain_damaged}) {
    alarms_.clear(kind, "the ledger commits again");
  }
  return {};
}

bool mend_and_say(const AuditLog::Options& options, LedgerAlarms& alarms, Now now) {
  auto mended = mend_files(options.repository, options.branch, now.wall);
  if (!mended) {
    spdlog::warn("ledger: {}", mended.error().what);
    return false;
  }
  for (std::string& text : *mended) alarms.report(Kind::damaged, std::move(text));
  return !mended->empty();
}

}  // namespace detent
