#include "ledger/audit_log.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "ledger/alarms.h"
#include "ledger/branch.h"
#include "ledger/git_command.h"
#include "ledger/line.h"
#include "ledger/lock.h"
#include "ledger/mend.h"
#include "ledger/message.h"
#include "ledger/packer.h"
#include "ledger/pusher.h"

namespace detent {
namespace {

using Kind = LedgerAlarm::Kind;
constexpr const char* kStatusFile = "STATUS.md";
constexpr const char* kLockFile = "detent-ledger.lock";
constexpr std::size_t kIdsNamed = 8;      // trailers of one commit
constexpr std::size_t kRecordCost = 256;  // memory of a waiting record beside its line, about
constexpr int kTries = 3;                 // against a second writer, before the next turn
constexpr int kPushFailuresBorne = 3;
constexpr Millis kRetry{1'000};
constexpr Millis kLockBorne{5'000};        // a ref's lock older than this was left by a killed process
constexpr Millis kLockOfBeforeBorne{500};  // likewise, where it was there before this process
constexpr Millis kLongestWait{60'000};

/// A record that waits to be committed.
struct Record {
  bool receipt = false;
  std::uint64_t seq = 0;
  std::string id;
  Mention mention;
  Millis time{0};
  std::string line;
};

std::string folder_of(Millis time) {
  std::string hour = utc(time).substr(0, 13);  // 2026-11-22T14
  std::replace_if(
      hour.begin(), hour.end(), [](char c) { return c == '-' || c == 'T'; }, '/');
  return "signals/" + hour + "/";
}

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

struct AuditLog::Parts {
  Parts(Options o, Repository r)
      : options{std::move(o)},
        repository{std::move(r)},
        policy{options.limits},
        packer{{.repository = options.repository, .loose_most = options.loose_most, .packs_most = options.packs_most}} {
  }

  static Result<std::unique_ptr<Parts>> open(const Options& options, std::optional<FileLock>& lock);

  Options options;
  std::optional<FileLock> lock;
  Repository repository;
  std::optional<Branch> branch;
  CommitPolicy policy;
  std::map<std::uint64_t, Record> records;      // what waits, by place
  std::map<std::uint64_t, std::uint64_t> owed;  // place -> seq of what an earlier run overtook and is to be read again
  std::string status;
  std::optional<Oid> status_tree;  // the tree of which `status_there` is known
  std::string status_there;
  std::optional<Pusher> pusher;
  Packer packer;
  Alarms alarms;
  Millis retry_at{Millis::min()};
  std::uint64_t commits = 0;
  ino_t lock_inode = 0;  // of a ref's lock that stands in our way, and since when
  Millis lock_since{0};

  bool wants(std::uint64_t place);
  void take(std::uint64_t place, Record record, CommitPolicy::Item item, Now now);
  Result<bool> commit(const std::vector<std::uint64_t>& places, Now now);
  Result<Branch::Advance> try_commit(const std::vector<std::uint64_t>& places, Now now);
  Result<std::string> free_path(const std::optional<Oid>& tree, const std::string& stem);
  Result<bool> status_differs(const std::optional<Oid>& tree);
  bool break_stale_lock(Now now);
  bool mend_the_files(Now now);
  bool mend(Now now);
  std::filesystem::path path_of_lock() const { return options.repository / ("refs/heads/" + options.branch + ".lock"); }
  void poll_children(Now now);
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

void AuditLog::Parts::take(std::uint64_t place, Record record, CommitPolicy::Item item, Now now) {
  item.place = place;
  item.seq = record.seq;
  item.bytes = record.line.size() + kRecordCost;
  policy.add(item, now.mono);
  records.emplace(place, std::move(record));
}

Result<std::string> AuditLog::Parts::free_path(const std::optional<Oid>& tree, const std::string& stem) {
  std::string path = stem + ".jsonl";
  for (int n = 1; tree; ++n) {
    const auto taken = repository.find(*tree, path);
    if (!taken) return taken.error();
    if (!*taken) break;
    path = fmt::format("{}.{}.jsonl", stem, n);
  }
  return Result<std::string>{boost::system::in_place_value, std::move(path)};
}

Result<bool> AuditLog::Parts::status_differs(const std::optional<Oid>& tree) {
  if (status.empty()) return false;
  if (!tree) return true;
  if (status_tree != tree) {
    const auto entry = repository.find(*tree, kStatusFile);
    if (!entry) return entry.error();
    status_there.clear();
    if (*entry) {
      auto text = repository.blob((*entry)->id);
      if (!text) return text.error();
      status_there = std::move(*text);
    }
    status_tree = tree;
  }
  return status_there != status;
}

Result<Branch::Advance> AuditLog::Parts::try_commit(const std::vector<std::uint64_t>& places, Now now) {
  if (const auto stands = branch->reconcile(alarms.sink()); !stands) return stands.error();

  CommitNote note;
  note.state = branch->state();
  std::string content;
  std::vector<const Mention*> signals, receipts;
  std::vector<std::string> ids;
  Millis signal_time{0}, receipt_time{0};
  for (const std::uint64_t place : places) {
    const Record& record = records.at(place);
    append_sealed(content, record.line, content.empty(), note.state.hash);
    ++note.state.lines;
    (record.receipt ? receipts : signals).push_back(&record.mention);
    Millis& time = record.receipt ? receipt_time : signal_time;
    time = std::max(time, record.time);
    if (!record.receipt) {
      note.first_seq = note.first_seq ? std::min(note.first_seq, record.seq) : record.seq;
      note.last_seq = std::max(note.last_seq, record.seq);
    }
  }
  for (const std::uint64_t place : places) {
    const Record& record = records.at(place);
    if (record.receipt == signals.empty() && std::find(ids.begin(), ids.end(), record.id) == ids.end()) {
      ids.push_back(record.id);
      if (ids.size() > kIdsNamed) break;
    }
  }
  if (ids.size() <= kIdsNamed) note.ids = std::move(ids);
  note.subject = subject_of(signals, receipts);
  note.state.last_seq = std::max(note.state.last_seq, note.last_seq);
  note.state.place = std::max(note.state.place, places.back());
  note.state.held.clear();
  std::map<std::uint64_t, std::uint64_t> held = owed;
  for (const std::uint64_t place : policy.held_after(places, note.state.place)) {
    const Record& record = records.at(place);
    held.emplace(place, record.receipt ? 0 : record.seq);
  }
  for (const auto& [place, seq] : held) note.state.held.push_back({place, seq});
  Millis when = signals.empty() ? receipt_time : signal_time;
  if (when <= Millis{0}) when = now.wall;

  auto path = free_path(branch->tree(),
                        folder_of(when) + std::to_string(note.first_seq ? note.first_seq : note.state.last_seq));
  if (!path) return path.error();
  note.file = std::move(*path);
  std::vector<Repository::File> files{{note.file, content, true}};
  const auto differs = status_differs(branch->tree());
  if (!differs) return differs.error();
  if (*differs) files.push_back({kStatusFile, status});

  const auto tree = repository.write_tree(branch->tree(), files);
  if (!tree) return tree.error();
  const auto id = repository.write_commit(*tree, branch->parent(), message_of(note), options.author, when);
  if (!id) return id.error();
  const auto advanced = branch->advance(*id, *tree, std::move(note.state));
  if (advanced && *advanced == Branch::Advance::done) {
    if (*differs) status_there = status;
    if (*differs || status_tree) status_tree = *tree;
  }
  return advanced;
}

/// A process that is killed between taking a ref's lock and giving it back leaves the lock behind. git holds one for
/// milliseconds; one that we have seen unchanged for much longer has no owner. One that was there when we came is most
/// likely that of the process before us, and is borne less long. True: it is gone.
bool AuditLog::Parts::break_stale_lock(Now now) {
  const auto path = path_of_lock();
  struct stat about {};
  if (::stat(path.c_str(), &about)) return true;
  if (about.st_ino != lock_inode) {
    lock_inode = about.st_ino;
    lock_since = now.mono;
  } else if (now.mono - lock_since >= kLockBorne) {
    spdlog::warn("ledger: removing {}, which a killed process left behind", path.string());
    ::unlink(path.c_str());
    lock_inode = 0;
    return true;
  }
  return false;
}

/// Mends HEAD and config, which git needs to work here at all. True: something was amiss.
bool AuditLog::Parts::mend_the_files(Now now) {
  auto mended = mend_files(options.repository, options.branch, now.wall);
  if (!mended) {
    spdlog::warn("ledger: {}", mended.error().what);
    return false;
  }
  for (std::string& text : *mended) alarms.say(Kind::damaged, std::move(text));
  return !mended->empty();
}

/// Mends what was damaged while we ran, as the next start would; but never sets the repository aside: what only seems
/// to be missing (a file of git's that is being replaced, say) is not to cost a running ledger its history. True:
/// something was mended.
bool AuditLog::Parts::mend(Now now) {
  const bool files = mend_the_files(now);
  // What git has packed meanwhile is not to pass for damage.
  if (const auto reopened = repository.reopen(); !reopened) return false;
  const auto refs = branch->mend(alarms.sink());
  return files || (refs && *refs);
}

Result<bool> AuditLog::Parts::commit(const std::vector<std::uint64_t>& places, Now now) {
  Error error{fmt::format("another process keeps moving {} in {}", options.branch, options.repository.string())};
  for (int tries = 0; tries < kTries; ++tries) {
    const auto advanced = try_commit(places, now);
    if (!advanced) {
      error = advanced.error();
      if (error.code == EBADMSG && mend(now)) continue;
      break;
    }
    if (*advanced == Branch::Advance::locked) {
      if (break_stale_lock(now)) continue;
      error = {fmt::format("{} in {} is locked by another process", options.branch, options.repository.string())};
      break;
    }
    if (*advanced == Branch::Advance::lost) continue;
    policy.committed(places, now.mono);
    for (const std::uint64_t place : places) records.erase(place);
    ++commits;
    retry_at = Millis::min();
    lock_inode = 0;
    packer.committed();
    if (pusher) pusher->wanted();
    for (const Kind kind : {Kind::write_failed, Kind::diverged, Kind::chain_damaged}) {
      alarms.end(kind, "the ledger takes commits again");
    }
    return true;
  }
  retry_at = now.mono + kRetry;
  alarms.raise(Kind::write_failed, error.what);
  return error;
}

void AuditLog::Parts::poll_children(Now now) {
  if (pusher) {
    if (const auto result = pusher->turn(now.mono)) {
      switch (result->outcome) {
        case PushOutcome::pushed:
        case PushOutcome::up_to_date:
          for (const Kind kind : {Kind::push_failing, Kind::push_refused, Kind::push_diverged}) {
            alarms.end(kind, "the remote holds the ledger again");
          }
          break;
        case PushOutcome::lost:
          if (pusher->failures() >= kPushFailuresBorne || result->reason.find("lock") == std::string::npos) {
            alarms.raise(Kind::push_diverged, "the remote's branch is not where this ledger left it: " + result->reason,
                         how_to_replace(options, now.wall));
          }
          break;
        case PushOutcome::refused:
          alarms.raise(Kind::push_refused, "the remote refuses the ledger: " + result->reason);
          break;
        case PushOutcome::unreachable:
          spdlog::info("ledger: push: {}", result->reason);
          mend_the_files(now);
          if (pusher->failures() >= kPushFailuresBorne) {
            alarms.raise(Kind::push_failing,
                         fmt::format("{} pushes in a row failed: {}", pusher->failures(), result->reason));
          }
          break;
      }
    }
  }
  if (const auto outcome = packer.turn(now.mono)) {
    auto packed = outcome->packed ? repository.reopen() : Result<>{Error{"git repack failed: " + outcome->reason}};
    if (packed) {
      alarms.end(Kind::packing_failed, "the ledger is packed again");
    } else {
      mend_the_files(now);
      alarms.raise(Kind::packing_failed, packed.error().what);
    }
  }
}

AuditLog::AuditLog(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
AuditLog::~AuditLog() = default;

/// `lock` is taken where it is not yet, and kept where this fails.
Result<std::unique_ptr<AuditLog::Parts>> AuditLog::Parts::open(const Options& options, std::optional<FileLock>& lock) {
  auto repository = Repository::open_or_create(options.repository, options.branch);
  if (!repository) return repository.error();
  if (!lock) {
    if (const auto ours = owned_by_us(options.repository); !ours) return ours.error();
    auto taken = FileLock::take(options.repository / kLockFile);
    if (!taken) return taken.error();
    lock.emplace(std::move(*taken));
  }
  // Only who holds our lock writes the witness, so a lock on it is that of a process which was killed.
  ::unlink((options.repository / ("refs/detent/" + options.branch + ".lock")).c_str());
  auto parts = std::make_unique<Parts>(options, std::move(*repository));
  for (const std::string& alarm : options.standing) parts->alarms.stands(alarm);
  auto branch = Branch::find(parts->repository, options.branch, parts->alarms.sink());
  if (!branch) return branch.error();
  parts->branch = std::move(*branch);
  parts->lock.emplace(std::move(*lock));
  return parts;
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(Options options, Now now) {
  if (const auto good = Repository::check(options.author); !good) return good.error();
  const auto place = options.repository;
  // What bears our lock is a ledger, however damaged; what does not is somebody's, and is left as it is.
  std::error_code failed;
  const bool ledger = std::filesystem::exists(place / kLockFile, failed);
  std::vector<std::string> damage;
  std::optional<FileLock> lock;
  if (ledger) {
    if (const auto ours = owned_by_us(place); !ours) return ours.error();
    auto taken = FileLock::take(place / kLockFile);
    if (!taken) return taken.error();
    lock.emplace(std::move(*taken));
    auto mended = mend_files(place, options.branch, now.wall);
    if (!mended) return mended.error();
    damage = std::move(*mended);
  }
  auto opened = Parts::open(options, lock);
  if (!opened && ledger && opened.error().code == EBADMSG) {
    const auto aside = set_aside(place, now.wall);
    if (!aside) return aside.error();
    damage.push_back(
        fmt::format("{}; the repository was set aside as {}, and a new one begins with what the journal "
                    "still holds",
                    opened.error().what, aside->string()));
    lock.reset();
    opened = Parts::open(options, lock);
  }
  if (!opened) return opened.error();
  auto parts = std::move(*opened);
  for (std::string& text : damage) parts->alarms.say(Kind::damaged, std::move(text));
  struct stat about {};
  if (!::stat(parts->path_of_lock().c_str(), &about)) {
    parts->lock_inode = about.st_ino;
    parts->lock_since = now.mono - kLockBorne + kLockOfBeforeBorne;
  }
  // What is wrong with the branch is said at once; whether it can be written to is asked again before each commit.
  if (const auto stands = parts->branch->reconcile(parts->alarms.sink()); !stands) {
    spdlog::warn("ledger: {}", stands.error().what);
  }
  const ChainState& state = parts->branch->state();
  for (const Overtaken& one : state.held) parts->owed.emplace(one.place, one.seq);
  const auto& set = parts->options;
  if (state.last_seq < set.known_seq) {
    parts->alarms.say(Kind::went_backwards, fmt::format("{} held signals up to {} once and now ends at {}", set.branch,
                                                        set.known_seq, state.last_seq));
  }
  if (!set.remote.empty()) {
    const Millis every{static_cast<Millis::rep>(60'000 / std::max(0.01, set.pushes_per_minute))};
    parts->pusher.emplace(Pusher::Options{.repository = set.repository,
                                          .remote = {set.remote, set.ssh_command},
                                          .branch = set.branch,
                                          .every = every,
                                          .deadline = set.push_deadline});
    if (parts->branch->ours()) parts->pusher->wanted();
  }
  (void)now;
  return std::unique_ptr<AuditLog>{new AuditLog{std::move(parts)}};
}

AuditLog::Progress AuditLog::progress() const {
  const ChainState& state = parts_->branch->state();
  const auto& ours = parts_->branch->ours();
  return {state.last_seq, state.complete_to(), state.lines, ours ? ours->hex() : "", to_hex(state.hash)};
}

void AuditLog::add(const LedgerSignal& signal, Now now) {
  if (!parts_->wants(signal.place)) return;
  Record record{false, signal.seq, std::string{signal.id}, mention_of(signal), signal.journalled, {}};
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
  Record record{true, receipt.seq, std::string{receipt.id}, mention_of(receipt), receipt.time, {}};
  append_open_line(record.line, receipt);
  CommitPolicy::Item item;
  item.kind = CommitPolicy::Kind::receipt;
  parts_->take(receipt.place, std::move(record), item, now);
}

bool AuditLog::full() const { return parts_->policy.full(); }

void AuditLog::status(std::string markdown) { parts_->status = std::move(markdown); }

Result<bool> AuditLog::turn(Now now) {
  parts_->poll_children(now);
  if (now.mono < parts_->retry_at) return false;
  const auto places = parts_->policy.due(now.mono);
  if (places.empty()) return false;
  return parts_->commit(places, now);
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
  if (now.mono < parts_->retry_at) {
    sooner(parts_->retry_at - now.mono);
  } else {
    sooner(parts_->policy.wait(now.mono));
  }
  if (parts_->pusher) sooner(parts_->pusher->wait(now.mono));
  sooner(parts_->packer.wait());
  return wait;
}

std::vector<LedgerAlarm> AuditLog::take_alarms() { return parts_->alarms.take(); }

AuditLog::Figures AuditLog::figures() const {
  Figures figures;
  figures.commits = parts_->commits;
  figures.waiting = parts_->policy.size();
  figures.waiting_bytes = parts_->policy.bytes();
  if (parts_->pusher) {
    figures.pushing = parts_->pusher->busy();
    figures.push_pending = !parts_->pusher->idle();
    figures.last_push = parts_->pusher->last_success();
  }
  return figures;
}

}  // namespace detent
