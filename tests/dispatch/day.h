// A day of a dispatcher and its workers under a seed: the real dispatcher on its real host over a disk in memory, real
// links, the worker's real mind; the broker and what attempts do are played. The network loses, repeats and delays, and
// everyone crashes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bus/link.h"
#include "bus/sessions.h"
#include "dispatch/dispatcher.h"
#include "host/host.h"
#include "host/stepped_executor.h"
#include "tests/support/memory_disk.h"
#include "worker/core.h"

namespace detent::test {

class Day {
 public:
  explicit Day(uint64_t seed);
  ~Day();
  /// What was broken; empty: nothing.
  std::string run();

  struct Counts {
    uint64_t crashes = 0, attempts = 0, lost = 0, stale = 0, retried = 0, succeeded = 0, failed = 0, said = 0;
    uint64_t fired = 0, outages = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Socket : ServerSocket {
    std::deque<std::pair<std::string, std::string>> arrived;
    std::vector<std::pair<std::string, std::string>> sent;
    std::set<std::string, std::less<>> gone;
    bool lost = false;
    size_t receive(size_t count, size_t bytes,
                   const std::function<void(std::string_view, std::span<char>)>& take) override;
    Sent send(std::string_view peer, std::string_view message) override;
    bool lost_someone() override { return std::exchange(lost, false); }
  };
  /// The broker's end of one of the dispatcher's links.
  struct BrokerEnd {
    std::string peer;
    std::unique_ptr<Sessions> sessions;
    uint64_t session = 0;
  };
  struct Running {
    Millis until{0};
    std::optional<Millis> stopped;
  };
  struct Worker {
    int number = 0;
    uint64_t life = 0;
    std::unique_ptr<Link> link;
    std::unique_ptr<WorkerCore> core;
    std::map<AttemptKey, Running> running;
    std::map<AttemptKey, std::string> kept;  // results on its disk
    Millis up_at{0}, cut_off_until{0};
  };
  struct Asked {  // a task
    std::string signal;
    bool settled = false, in_flight = false;
    uint64_t delivery = 0;
    bool cancelled = false;  // by the operator
    size_t retries = 0;      // by the operator
    std::set<uint32_t> epochs;
    std::map<uint32_t, std::string> results;
    int running = 0;
  };
  /// Times between which the clock on the wall was set while the dispatcher may have forgotten what it did just before.
  struct Jump {
    Millis from{0}, to{0};
  };
  struct Packet {
    std::string from, to;  // "dispatcher", "broker/consumer", "worker-1/3"
    std::string bytes;
  };

  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(dice_) < p; }
  uint64_t below(uint64_t n) { return n ? dice_() % n : 0; }
  void broken(const std::string& what);

  void start_dispatcher();
  void crash_dispatcher();
  void start_worker(Worker& worker);
  void crash_worker(Worker& worker);
  void start_broker(BrokerEnd& end);
  void send(std::string from, std::string to, std::string bytes);
  void deliver(Packet packet);
  void on_broker(BrokerEnd& end, std::string bytes);
  void hand_out();
  void submit();
  void meddle();
  void cancel_stranded();
  void worker_turn(Worker& worker);
  void end(Worker& worker, const AttemptKey& attempt);
  void dispatcher_turn();
  void add_schedules();
  void set_clock();
  void end_schedules();
  bool is_due(const Ulid& task) const;
  void check_schedules();
  void beat();
  void on_silence(const std::string& service, bool restored);
  void step(bool calm);
  std::string state() const;
  /// Tasks whose ends were read.
  std::set<Ulid> read() const;
  bool is_done() const;
  void check_end();

  std::mt19937_64 dice_;
  Now now_{Millis{1'000'000}, Millis{1'780'000'000'000}};
  std::string failure_;
  Counts counts_;
  bool calm_ = false;

  MemoryDisk disk_;
  Config config_;
  std::unique_ptr<SteppedExecutor> executor_;
  Socket socket_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<Host> host_;
  Millis dispatcher_up_at_{0};

  BrokerEnd consumer_{"broker/consumer", nullptr}, producer_{"broker/producer", nullptr},
      listener_{"broker/listener", nullptr};
  uint32_t credit_ = 0;
  uint64_t deliveries_ = 0;
  std::map<Ulid, Asked> tasks_;
  std::vector<Ulid> order_;
  std::vector<Jump> jumps_;
  Millis scheduled_until_{0};                      // wall
  Millis beats_again_{0}, next_beat_{0};           // a source's
  std::set<std::string> silent_;                   // as the broker was told
  std::map<std::string, std::string> said_;        // signals published, by id
  std::map<Ulid, std::vector<std::string>> told_;  // types, by task
  std::vector<Worker> workers_;
  std::multimap<std::pair<Millis, uint64_t>, Packet> network_;
  uint64_t packets_ = 0;
};

}  // namespace detent::test
