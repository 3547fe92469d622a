// A broker's process and what outlives it: the broker on its host as they run, over a disk and a network in memory,
// with an executor that is stepped by dice; and a ledger that follows it. It may die between any two steps.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.h"
#include "host/host.h"
#include "host/stepped_executor.h"
#include "tests/simulation/audit.h"
#include "tests/simulation/books.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/disk_weather.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

class SimulatedBroker {
 public:
  struct Counts {
    uint64_t crashes = 0, sealed = 0, dropped = 0, dead_dropped = 0;
    uint64_t stops = 0, failed_starts = 0;  // because of the disk
    uint64_t rotten_texts = 0, rotten_snapshots = 0;
  };

  /// `audit`: the real ledger, which follows as well; null: none.
  SimulatedBroker(const Config& config, Dice& dice, Broken broken, std::unique_ptr<Audit> audit);
  ~SimulatedBroker();

  bool is_up() const { return host_ != nullptr; }
  /// Recovers, and holds what it finds against what is known of the time before. Where the disk fails it stays down.
  void start(Now now);
  /// Dies, in the middle of what it does or of nothing; where the power fails too, the disk forgets.
  void crash(bool power_cut);
  /// What its lanes do, a turn of its loop, and one of the ledger.
  void turn(Now now);
  /// A message that has arrived; a turn takes it in.
  void receive(std::string peer, std::string message);
  /// The peer's connection has ended, and the network says so.
  void hang_up(std::string peer);
  /// The config is another from here on.
  void reload(const Config& config);
  /// The operator brings all dead letters back, or drops them.
  void order(bool retry);
  /// The operator drops what waits for one of the channels.
  void drop_a_channel();
  /// A signal that comes over HTTP; `done` is forgotten where the broker dies.
  void admit(std::string signal, Now now, std::function<void(const LocalDone&)> done) {
    broker_->admit({std::move(signal)}, now, std::move(done));
  }
  /// Everything is settled, but for what waits for `down`, and in the ledger.
  bool is_done(const std::string& down) const;
  /// By their names.
  std::string standing_alarms() const;

  DeadLetters& letters() { return broker_->dead_letters(); }
  const Counts& counts() const { return counts_; }
  DiskWeather& weather() { return weather_; }
  const DiskWeather& weather() const { return weather_; }
  const Books& books() const { return ledger_.books(); }
  /// What the ledger has with what the journal has beyond it.
  Books everything();
  void check_letters(const Books& books);
  /// Once all is settled: nothing of it is kept in memory.
  void check_nothing_kept();
  /// Once all is settled: the real ledger tells what the journal told. Nothing where there is none.
  void check_ledger(Now now);
  /// A dead letter that the operator closed, or was about to.
  bool was_closed(const DeadLetters::Key& key) const { return closed_.contains(key); }
  /// Its text rotted before it was delivered.
  bool was_lost(uint64_t seq) const { return told_missing_.contains(seq); }
  /// What waited for a channel that the operator dropped.
  bool may_be_dropped(const Books::Place& place) const {
    const auto last = dropped_to_.find(place.channel);
    return last != dropped_to_.end() && place.seq <= last->second;
  }

  /// Stands for every byte on its disk.
  uint64_t disk_digest() const { return disk_.digest(); }

  /// Peer and frame.
  std::vector<std::pair<std::string, std::string>> outgoing;

 private:
  class Socket : public ServerSocket {
   public:
    explicit Socket(SimulatedBroker& broker) : broker_(broker) {}
    size_t receive(size_t count, size_t bytes,
                   const std::function<void(std::string_view peer, std::span<char> message)>& take) override;
    Sent send(std::string_view peer, std::string_view message) override;
    bool lost_someone() override { return std::exchange(lost, false); }
    std::deque<std::pair<std::string, std::string>> arrived;
    std::set<std::string, std::less<>> gone;
    bool lost = false;

   private:
    SimulatedBroker& broker_;
  };

  /// Whether all went well; else the process is gone.
  bool open(Now now);
  void end_process();
  void step_lanes(Now now);
  void draw_lanes(Now now);
  void count();
  /// Open signals by the places of their records, as far as the ledger has them.
  std::map<uint64_t, RecordRef> texts_at_rest() const;
  /// A bit flips where it is known what that costs: in a snapshot that has another before it nothing, in the text of a
  /// closed segment that text.
  void rot(const std::map<uint64_t, RecordRef>& texts);
  void check_damage();
  void check_bodies();
  void check_recovered(const Books& books);
  void check_threads();
  void check_alarms();

  Config config_;
  Dice& dice_;
  Broken broken_;
  MemoryDisk disk_;
  uint64_t segment_bytes_;
  uint32_t max_losses_;  // consumers that may die of a delivery
  DiskWeather weather_;
  Ledger ledger_;
  std::unique_ptr<Audit> audit_;
  std::set<DeadLetters::Key> closed_;
  std::map<std::string, uint64_t> dropped_to_;    // by channel
  std::map<std::string, bool> rotten_;            // files, and whether a start has told of it
  std::string rotten_snapshot_;                   // the last one
  std::set<uint64_t> lost_texts_, told_missing_;  // by seq
  Counts counts_;

  // of one life
  Socket socket_{*this};
  std::unique_ptr<SteppedExecutor> executor_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Host> host_;
  std::optional<Millis> journal_due_, chore_due_;  // when the lane's next job is done
  Host::Counters counted_;
  /// A channel whose circuit's opener is gone: since when its alarm stands, and how many it had delivered then.
  struct Untried {
    int64_t since_ms = 0;
    uint64_t delivered = 0;
  };
  std::map<std::string, Untried> untried_;
  uint64_t first_dead_ = 0;  // the oldest segment of the dead letters
};

}  // namespace detent::test
