// A whole Detent under a seed: producers, consumers and the broker as the state machines they are, over a network that
// loses, repeats, reorders, delays and partitions, with a disk that forgets what was not synced and clocks that jump.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "broker/core.h"
#include "broker/dead_letters.h"
#include "bus/link.h"
#include "producers/publisher_core.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

/// How bad a day it is. Chances are per event.
struct Weather {
  double lose = 0.02, repeat = 0.02, late = 0.1;
  double broker_crash = 0.002, power_cut = 0.5;
  double client_crash = 0.003, partition = 0.003;
  double clock_jump = 0.002;
  double give_up = 0.04, expires = 0.1;
  double small_backlog = 0.3;  // that the whole day has a limit which is reached
  int signals = 60;
  int steps = 1500;
};

class World {
 public:
  explicit World(uint64_t seed, Weather weather = {});
  ~World();
  /// Runs the bad day and then a calm evening in which all must settle. The first broken invariant, or nothing.
  std::string run();

  uint64_t crashes() const { return crashes_; }
  uint64_t deliveries() const { return deliveries_; }
  /// Dead letters, and signals settled as expired by a broker that lived until now.
  uint64_t dead() const { return dead_->letters().size(); }
  uint64_t backlog() const { return backlog_; }
  uint64_t expired() const { return core_->counters().expired; }

 private:
  struct Client;
  struct Packet {
    int client = 0;
    uint64_t life = 0;  // of the client's connection
    bool to_broker = false;
    std::string bytes;
  };

  bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }
  uint64_t below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random_); }
  void broken(const std::string& what);

  void start_broker();
  void stop_broker(bool power_cut);
  void broker_turn();
  void send(int client, bool to_broker, std::string bytes);
  void deliver(const Packet& packet);
  void client_turn(Client& client);
  void on_event(Client& client, const Link::Event& event);
  void on_deliver(Client& client, std::string_view body);
  void crash_client(Client& client);
  void consumer_acts(Client& client);
  void publish(Client& client);
  void check_journal_holds_acknowledged();
  void check_all_arrived();
  bool settled_all() const;
  void step(bool calm);

  std::mt19937_64 random_;
  Weather weather_;
  Now now_{Millis{1'000'000}, Millis{1'795'000'000'000}};
  std::string failure_;

  MemoryDisk disk_;
  Config config_;
  std::unique_ptr<Door> door_;
  std::unique_ptr<IdWindow> ids_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<DeadLetters> dead_;
  std::unique_ptr<JournalReader> reader_;
  struct Sync {
    Core::Work work;
    Millis done_at{0};
    std::string snapshot;
  };
  std::unique_ptr<Sync> sync_;
  bool snapshot_due_ = false;
  Millis broker_up_at_{0};

  std::vector<std::unique_ptr<Client>> clients_;
  std::multimap<std::pair<Millis, uint64_t>, Packet> network_;
  uint64_t packets_ = 0;

  // what an outside observer knows
  struct Published {
    std::string bytes;
    std::string thread;
    std::set<std::string> channels;
    bool acknowledged = false;
    bool expires = false;
    bool own = false;  // one of Detent's own alarms
  };
  std::map<std::string, Published> published_;                          // by id
  std::map<std::pair<std::string, std::string>, uint64_t> last_first_;  // (channel, thread) -> seq first taken last
  std::set<std::pair<std::string, std::string>> taken_;                 // (channel, id) that the platform has
  std::set<DeadLetters::Key> buried_;                                   // dead letters that were durable
  uint64_t backlog_bytes_ = uint64_t{1} << 30, backlog_ = 0;
  int made_ = 0;
  uint64_t crashes_ = 0, deliveries_ = 0;
};

}  // namespace detent::test
