#include "ledger/audit/audit_log.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "ledger/audit/alarms.h"
#include "ledger/audit/audit_branch.h"
#include "ledger/audit/commit_draft.h"
#include "ledger/audit/committer.h"
#include "ledger/audit/line.h"
#include "ledger/audit/upkeep.h"
#include "ledger/repository/fetch.h"
#include "ledger/repository/lock.h"
#include "ledger/repository/mend.h"

namespace detent {
namespace {

using Kind = LedgerAlarm::Kind;
constexpr const char* kLockFile = "detent-ledger.lock";
constexpr std::size_t kRecordCost = 256;  // memory of a waiting record beside its line, about
constexpr Millis kLongestWait{60'000};
constexpr Millis kFetchDeadline{120'000};

}  // namespace

struct AuditLog::Parts {
  Parts(Options o, FileLock l, Repository r)
      : options{std::move(o)}, lock{std::move(l)}, repository{std::move(r)}, policy{options.limits} {}

  Options options;
  FileLock lock;
  Repository repository;
  LedgerAlarms alarms;
  std::optional<AuditBranch> branch;
  std::optional<Committer> committer;
  std::optional<Upkeep> upkeep;
  CommitPolicy policy;
  PendingRecords records;
  std::map<std::uint64_t, std::uint64_t> owed;  // place -> seq of what an earlier run overtook and is to be read again
  std::uint64_t commits = 0;

  Result<> begin(bool ledger, Now now);
  bool wants(std::uint64_t place);
  void take(std::uint64_t place, PendingRecord record, CommitPolicy::Item item, Now now);
  Result<> commit(const std::vector<std::uint64_t>& places, Now now);
};

/// Whether the record at `place` is yet to be committed and not waiting already.
bool AuditLog::Parts::wants(std::uint64_t place) {
  const ChainState& state = branch->state();
  if (place > state.place && !owed.empty()) {
    spdlog::warn("ledger: {} records that an earlier run had put off are not in the journal any more", owed.size());
    owed.clear();
  }
  if (place <= state.place) return owed.erase(place) > 0;
  return !records.contains(place);
}

void AuditLog::Parts::take(std::uint64_t place, PendingRecord record, CommitPolicy::Item item, Now now) {
  item.place = place;
  item.seq = record.seq;
  item.bytes = record.line.size() + kRecordCost;
  policy.add(item, now.mono);
  records.emplace(place, std::move(record));
}

Result<> AuditLog::Parts::commit(const std::vector<std::uint64_t>& places, Now now) {
  std::map<std::uint64_t, std::uint64_t> held = owed;
  for (const std::uint64_t place : policy.held_after(places, std::max(branch->state().place, places.back()))) {
    const PendingRecord& record = records.at(place);
    held.emplace(place, record.receipt ? 0 : record.seq);
  }
  if (const auto done = committer->commit(records, places, held, now); !done) return done;
  policy.committed(places, now.mono);
  for (const std::uint64_t place : places) records.erase(place);
  ++commits;
  upkeep->committed();
  return {};
}

AuditLog::AuditLog(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
AuditLog::~AuditLog() = default;

/// Finds out how far the log got. `ledger`: the repository was one before, and may be mended.
Result<> AuditLog::Parts::begin(bool ledger, Now now) {
  AuditBranch::Recovery recovery{.allowed = ledger, .journal_end = options.journal_end, .wall = now.wall};
  if (!options.remote.empty()) {
    recovery.fetch = [this]() -> Result<> {
      const auto fetched =
          fetch_objects(options.repository, {options.remote, options.ssh_command}, options.branch, kFetchDeadline);
      if (!fetched) return fetched;
      return repository.reopen();
    };
  }
  auto found = AuditBranch::find(repository, options.branch, recovery, alarms.sink());
  if (!found) return found.error();
  branch.emplace(std::move(*found));
  committer.emplace(options, repository, *branch, alarms, now);
  upkeep.emplace(options, repository, alarms);
  // What is wrong with the branch is said at once; whether it can be written to is asked again before each commit.
  if (const auto stands = branch->reconcile(alarms.sink()); !stands) {
    spdlog::warn("ledger: {}", stands.error().what);
  }
  const ChainState& state = branch->state();
  if (options.next_seq && state.last_seq >= options.next_seq) branch->begin_journal();
  for (const Overtaken& one : state.held) owed.emplace(one.place, one.seq);
  if (state.last_seq < options.known_seq) {
    alarms.report(Kind::went_backwards, fmt::format("{} held signals up to {} once and now ends at {}", options.branch,
                                                    options.known_seq, state.last_seq));
  }
  if (branch->ours()) upkeep->wants_push();
  return {};
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(Options options, Now now) {
  if (const auto good = Repository::check(options.author); !good) return good.error();
  const auto place = options.repository;
  // What bears our lock is a ledger, however damaged; what does not is somebody's, and is left as it is.
  std::error_code failed;
  const bool ledger = std::filesystem::exists(place / kLockFile, failed);
  std::vector<std::string> damage;
  std::optional<FileLock> lock;
  const auto take_lock = [&]() -> Result<> {
    if (const auto ours = owned_by_us(place); !ours) return ours.error();
    auto taken = FileLock::take(place / kLockFile);
    if (!taken) return taken.error();
    lock.emplace(std::move(*taken));
    return {};
  };
  if (ledger) {
    if (const auto taken = take_lock(); !taken) return taken.error();
    auto mended = mend_files(place, options.branch, now.wall);
    if (!mended) return mended.error();
    damage = std::move(*mended);
  }
  auto repository = Repository::open_or_create(place, options.branch);
  if (!repository) return repository.error();
  if (!lock) {
    if (const auto taken = take_lock(); !taken) return taken.error();
  }
  // Only who holds our lock writes the witness, so a lock on it is that of a process which was killed.
  ::unlink((place / ("refs/detent/" + options.branch + ".lock")).c_str());
  auto parts = std::make_unique<Parts>(std::move(options), std::move(*lock), std::move(*repository));
  for (const std::string& alarm : parts->options.standing) parts->alarms.restore(alarm);
  for (std::string& text : damage) parts->alarms.report(Kind::damaged, std::move(text));
  if (const auto begun = parts->begin(ledger, now); !begun) return begun.error();
  return std::unique_ptr<AuditLog>{new AuditLog{std::move(parts)}};
}

AuditLog::Progress AuditLog::progress() const {
  const ChainState& state = parts_->branch->state();
  const auto& ours = parts_->branch->ours();
  return {state.last_seq, state.complete_to(), state.lines, ours ? ours->hex() : "", to_hex(state.hash)};
}

void AuditLog::add(const LedgerSignal& signal, Now now) {
  if (!parts_->wants(signal.place)) return;
  PendingRecord record{false, signal.seq, std::string{signal.id}, mention_of(signal), signal.journalled, {}};
  append_open_line(record.line, signal);
  CommitPolicy::Item item;
  const auto& gather = parts_->options.gather;
  const bool gathered = !signal.needs_response && std::find(gather.begin(), gather.end(), signal.type) != gather.end();
  item.kind = gathered ? CommitPolicy::Kind::gathered : CommitPolicy::Kind::signal;
  item.receipts = signal.channels.size();
  parts_->take(signal.place, std::move(record), item, now);
}

void AuditLog::add(const LedgerReceipt& receipt, Now now) {
  if (!parts_->wants(receipt.place)) return;
  PendingRecord record{true, receipt.seq, std::string{receipt.id}, mention_of(receipt), receipt.time, {}};
  append_open_line(record.line, receipt);
  CommitPolicy::Item item;
  item.kind = CommitPolicy::Kind::receipt;
  parts_->take(receipt.place, std::move(record), item, now);
}

bool AuditLog::full() const { return parts_->policy.full(); }

void AuditLog::status(std::string markdown) { parts_->committer->status(std::move(markdown)); }

Result<bool> AuditLog::turn(Now now) {
  parts_->upkeep->turn(now);
  if (now.mono < parts_->committer->retry_at()) return false;
  const auto places = parts_->policy.due(now.mono);
  if (places.empty()) return false;
  if (const auto done = parts_->commit(places, now); !done) return done.error();
  return true;
}

Result<> AuditLog::flush(Now now) {
  while (!parts_->policy.empty()) {
    if (const auto done = parts_->commit(parts_->policy.batch(), now); !done) return done.error();
  }
  return {};
}

Millis AuditLog::wait(Now now) const {
  Millis wait = kLongestWait;
  const auto sooner = [&](std::optional<Millis> other) {
    if (other) wait = std::min(wait, *other);
  };
  const Millis retry_at = parts_->committer->retry_at();
  sooner(now.mono < retry_at ? std::optional{retry_at - now.mono} : parts_->policy.wait(now.mono));
  sooner(parts_->upkeep->wait(now.mono));
  return wait;
}

std::vector<LedgerAlarm> AuditLog::take_alarms() { return parts_->alarms.take(); }

AuditLog::Figures AuditLog::figures() const {
  Figures figures;
  figures.commits = parts_->commits;
  figures.waiting = parts_->policy.size();
  figures.waiting_bytes = parts_->policy.bytes();
  if (const auto& pusher = parts_->upkeep->pusher()) {
    figures.pushing = pusher->busy();
    figures.push_pending = !pusher->idle();
    figures.last_push = pusher->last_success();
  }
  return figures;
}

}  // namespace detent
