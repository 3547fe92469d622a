// A broker's process and what outlives it: the core, both journals, the ids' files and the dropping of segments over a
// disk in memory, turn by turn in the order in which Broker does it on its threads; and a ledger that follows it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core.h"
#include "broker/dead_letters.h"
#include "broker/dead_orders.h"
#include "broker/drops.h"
#include "tests/simulation/books.h"
#include "tests/simulation/dice.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

class SimulatedBroker {
 public:
  struct Counts {
    uint64_t crashes = 0, sealed = 0, dropped = 0, dead_dropped = 0;
  };

  SimulatedBroker(const Config& config, uint64_t backlog_bytes, Dice& dice, Broken broken);
  ~SimulatedBroker();

  bool is_up() const { return core_ != nullptr; }
  /// Recovers, and holds what it finds against what is known of the time before.
  void start(Now now);
  /// Dies, in the middle of what it does or of nothing; where the power fails too, the disk forgets.
  void crash(bool power_cut);
  /// A turn of its loop, and of the ledger.
  void turn(Now now);
  /// The operator brings all dead letters back, or drops them.
  void order(bool retry);
  /// Everything is settled and in the ledger.
  bool is_done() const;

  Core& core() { return *core_; }
  DeadLetters& letters() { return *dead_; }
  const Counts& counts() const { return counts_; }
  const Books& books() const { return ledger_.books(); }
  /// What the ledger has with what the journal has beyond it.
  Books everything() const;
  void check_letters(const Books& books);
  /// A dead letter that the operator closed, or was about to.
  bool was_closed(const DeadLetters::Key& key) const { return closed_.contains(key); }

  /// Peer and frame.
  std::vector<std::pair<std::string, std::string>> outgoing;

 private:
  struct Sync {
    Core::Work work;
    Millis done_at{0};
    std::optional<DeadOrders::Bite> bite;
    Drops drops;
    std::string snapshot;
    uint64_t sealed = 0;
    std::vector<KnownId> ids;
    DeadLetters::Written dead_lettered;
  };
  struct Chore {
    Millis due{0};
    LogPosition at;
    std::string snapshot;
    uint64_t sealed = 0;
    std::vector<KnownId> ids;
  };

  void start_work(Now now);
  Result<Appended> do_work(Sync& sync);
  void work_done(Now now);
  Result<void> do_chore(Chore& chore);
  Result<void> drop(const Drops& drops);
  void check_after(const Drops& drops);
  void check_bodies();
  template <class T>
  bool good(const Result<T>& result, const std::string& what);

  Config config_;
  uint64_t backlog_bytes_;
  Dice& dice_;
  Broken broken_;
  SignalValidator validator_{SignalValidator::Mask{}};
  MemoryDisk disk_;
  uint64_t segment_bytes_;
  double write_fails_;  // of a snapshot, or of a file of ids
  Ledger ledger_;
  std::set<DeadLetters::Key> closed_;
  Counts counts_;

  // of one life
  std::unique_ptr<IdWindow> ids_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<DeadLetters> dead_;
  std::unique_ptr<DeadOrders> orders_;
  std::unique_ptr<JournalReader> bodies_;
  std::unique_ptr<Sync> sync_;
  std::deque<Chore> chores_;
  LogPosition synced_;
  bool snapshot_due_ = false, drop_due_ = false;
  uint64_t sealed_ = 0;
  Millis next_look_{0};
};

}  // namespace detent::test
