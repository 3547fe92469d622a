// The audit log: every signal and what became of it, as commits on a branch of its own that a person reads with `git
// log`.
//
// One thread owns it. It adds what the journal holds, in the journal's order, and calls `turn` with the time; a turn
// makes at most one commit and never waits for the network: pushing and packing are children that are polled.
//
// How far the log got is read from its own branch, so that a restart goes on exactly there: read the journal from
// `progress().complete_to` on and add all of it; what the ledger already holds is passed over.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/audit/commit_policy.h"
#include "ledger/audit/record.h"
#include "ledger/repository/repository.h"

namespace detent {

/// What the operator must hear of. Each is said once, and where it lasts, once more when it is resolved.
struct LedgerAlarm {
  enum class Kind {
    foreign_commit,  // somebody else committed on the branch; the log goes on above it
    chain_damaged,   // … and changed what the log had written: nothing is committed until that is settled
    went_backwards,  // the branch stood at an older commit of ours, was gone, or lacks what it once held
    diverged,        // the branch does not hold our last commit: nothing is committed until that is settled
    write_failed,    // no commit can be made: the disk, no descriptor, a lock; tried again until one can
    push_failing,    // the remote cannot be reached, several times in a row
    push_refused,    // the remote refuses for good; the reason is in the text
    push_diverged,   // the remote's branch holds what we did not write
    packing_failed,
    damaged,  // the repository could not be read; it was mended, or the branch set aside and begun anew
  };
  Kind kind;
  bool resolved = false;
  std::string text;
  std::string remedy;  // what to do about it, as Markdown, where that takes a person
};

class AuditLog {
 public:
  struct Options {
    std::filesystem::path repository;
    std::string branch = "detent/ledger";
    Repository::Author author;                        // the committer is Detent all the same
    std::vector<std::string> gather{"heartbeat.ok"};  // types that share a commit, where none needs a response
    CommitPolicy::Limits limits;
    std::string remote;       // a git URL, or empty: local only
    std::string ssh_command;  // empty: as git would, in batch mode
    double pushes_per_minute = 6;
    Millis push_deadline{60'000};
    std::size_t max_loose = 2'000;  // objects, before they are packed
    std::size_t max_packs = 50;
    std::vector<std::string> standing;  // alarms (as name_of says) that an earlier run raised and did not end
    std::uint64_t known_seq = 0;        // the caller knows that the ledger held all up to here once
    std::uint64_t journal_end = 0;      // where the journal ends, as a place; 0: unknown
    std::uint64_t next_seq = 0;         // the number that the journal gives next; 0: unknown. Where the ledger has it
                                        // already, its places are of another journal, and all of this one is new
    std::uint64_t low_water = 0;        // bytes that are to stay free on the disk: see ledger/repository/room.h
  };

  struct Progress {
    std::uint64_t last_seq = 0;     // the highest signal number committed
    std::uint64_t complete_to = 0;  // every record up to this place is committed
    std::uint64_t lines = 0;        // in the whole log
    std::string tip;                // our last commit, in hex; empty before the first
    std::string hash;               // of the last line, in hex
  };

  /// Opens or creates the repository and finds out how far the log got. What is damaged of its own branch is mended,
  /// from the remote where that has it, or set aside and begun anew, with an alarm; every other ref is left as it is.
  /// Fails where another process has this log open, and where the system lets nothing be read at the moment.
  static Result<std::unique_ptr<AuditLog>> open(Options options, Now now);
  ~AuditLog();

  Progress progress() const;

  void add(const LedgerSignal& signal, Now now);
  void add(const LedgerReceipt& receipt, Now now);
  /// Enough waits: take turns until it does not, before adding more. Bounds the memory.
  bool full() const;
  /// STATUS.md as it should read; goes with the next commit where it differs from what is there.
  void status(std::string markdown);

  /// Commits what is due, polls push and packing. True: it committed, and more may be due at once. An error says why
  /// nothing could be committed; what waits stays, and the next turns try again by themselves.
  Result<bool> turn(Now now);
  /// Commits all that waits, due or not.
  Result<> flush(Now now);
  /// How long until `turn` has something to do by the passing of time; at most a minute.
  Millis wait(Now now) const;

  /// What is to be said to the operator since the last call.
  std::vector<LedgerAlarm> take_alarms();

  /// For STATUS.md and metrics.
  struct Figures {
    std::uint64_t commits = 0;  // by this process
    std::size_t waiting = 0;    // records
    std::size_t waiting_bytes = 0;
    bool pushing = false;
    bool push_pending = false;        // something is not at the remote
    std::optional<Millis> last_push;  // monotonic
  };
  Figures figures() const;

 private:
  struct Parts;
  explicit AuditLog(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

std::string_view name_of(LedgerAlarm::Kind kind);
/// Whether it stands until it is resolved; else it is something that happened.
bool lasts(LedgerAlarm::Kind kind);

}  // namespace detent
