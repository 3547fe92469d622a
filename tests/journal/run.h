// One run of a journal over the tests' disk, with an outside record of what was acknowledged, and the check of every
// recovery against it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "journal/journal.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

/// Steps are chosen by the seed alone, never by what happens, so that a run can be cut anywhere and replayed.
class JournalRun {
 public:
  JournalRun(MemoryDisk& disk, std::uint64_t seed);

  /// Opens and checks what is visited. False: the disk failed, or something is wrong (`problem`).
  bool open();
  /// One step: append, snapshot, drop, prepare, read, close or be killed, and open again.
  void step();
  void append();
  /// The process is killed: the page cache survives.
  void kill();
  /// The power goes at once and comes back.
  void cut(Cut how, std::uint64_t seed);

  /// The first thing that went wrong; empty where nothing did.
  const std::string& problem() const { return problem_; }
  const std::string& open_error() const { return open_error_; }
  bool is_open() const { return journal_ != nullptr; }
  Journal& journal() { return *journal_; }
  const std::vector<std::uint64_t>& visited() const { return visited_; }
  const std::vector<Damage>& damages() const { return damages_; }
  /// Damage is expected: what it says is lost may be missing.
  void allow_damage() { damage_allowed_ = true; }
  std::string record(std::uint64_t seq) const;

 private:
  enum class Fate { kPending, kAcknowledged, kDropping, kGone };
  struct Signal {
    Fate fate = Fate::kPending;
    std::uint64_t batch = 0;
    RecordPosition place;
  };
  struct Visit {
    std::uint64_t seq;
    RecordPosition place;
    bool after;
  };

  void wrong(const std::string& what);
  void check(const std::vector<Visit>& visits, std::uint64_t snapshot);
  void snapshot();
  void drop();
  void read();

  MemoryDisk& disk_;
  const std::uint64_t seed_;
  std::mt19937_64 dice_;
  JournalOptions options_;
  std::uint64_t opens_ = 0;
  std::unique_ptr<Journal> journal_;
  std::map<std::uint64_t, Signal> signals_;
  std::uint64_t next_seq_ = 1;
  std::uint64_t next_batch_ = 1;
  std::uint64_t snapshot_acknowledged_ = 0;
  std::vector<std::uint64_t> visited_;
  std::vector<Damage> damages_;
  bool damage_allowed_ = false;
  std::string open_error_;
  std::string problem_;
};

}  // namespace detent::test
