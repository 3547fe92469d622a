// A whole Detent under a seed: producers, consumers and the broker as the state machines they are, over a network that
// loses, repeats, reorders, delays and partitions, with a disk that forgets what was not synced and clocks that jump.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bus/link.h"
#include "bus/publisher_core.h"
#include "tests/simulation/broker.h"
#include "tests/simulation/platforms.h"

namespace detent::test {

/// How bad a day it is. Chances are per event.
struct Weather {
  double lose = 0.02, repeat = 0.02, late = 0.1;
  double broker_crash = 0.002, power_cut = 0.5;
  double client_crash = 0.003, partition = 0.003;
  double clock_jump = 0.002;
  double give_up = 0.04, expires = 0.1;
  double small_backlog = 0.3;  // that the whole day has a limit which is reached
  double again = 0.05;         // that a signal is published that was acknowledged long ago
  double orders = 0.002;       // of the operator, about the dead letters
  double drop = 0.0005;        // that the operator drops a channel's backlog
  double pause = 0.002;        // that a process does nothing for a while
  double down = 0.25;          // that all day nobody serves one of the channels
  double http = 0.1;           // that a signal comes over HTTP
  double reload = 0.002;       // that the operator changes the routes
  double revoke = 0.001;       // that the platforms' secrets are others from here on
  uint64_t longest_step = 60;  // ms
  int signals = 60;
  int steps = 1500;
};

class World {
 public:
  explicit World(uint64_t seed, Weather weather = {});
  ~World();
  /// Runs the bad day and then a calm evening in which all must settle. The first broken invariant, or nothing.
  std::string run();

  struct Counts {
    uint64_t deliveries = 0, dead = 0, backlog = 0, killers = 0, dropped = 0, expired = 0, again = 0;
    uint64_t reloads = 0;
    uint64_t shown = 0, repeats = 0, unknown = 0;  // of couriers
  };
  const Counts& counts() const { return counts_; }
  /// Stands for every byte that was sent, and when, and for what the disk holds.
  uint64_t digest() const { return sent_ ^ broker_->disk_digest(); }
  const SimulatedBroker::Counts& broker_counts() const { return broker_->counts(); }
  const DiskWeather& disk_weather() const { return broker_->weather(); }
  /// None where the consumers are plain ones.
  const Platforms* platforms() const { return platforms_.get(); }

 private:
  struct Client;
  struct Packet {
    int client = 0;
    uint64_t life = 0;  // of the client's connection
    bool to_broker = false;
    std::string bytes;
  };

  bool chance(double probability) { return dice_.chance(probability); }
  uint64_t below(uint64_t limit) { return dice_.below(limit); }
  void broken(const std::string& what);

  void broker_turn();
  void send(int client, bool to_broker, std::string bytes);
  void deliver(const Packet& packet);
  void client_turn(Client& client);
  void on_event(Client& client, const Link::Event& event);
  void on_deliver(Client& client, std::string_view body);
  void crash_client(Client& client);
  void consumer_acts(Client& client);
  void publish(Client& client);
  void publish_again(Client& client);
  void reload();
  std::vector<std::string> route_of(std::string_view signal) const;
  void publish_over_http(Client& client, const std::string& id);
  void http_ended();
  void on_published(Client& client, std::string_view body);
  void check_acknowledged(const Books& books);
  void check_all_arrived();
  void check_shown();
  /// All but what waits for the channel that is down.
  bool settled_all() const;
  void step(bool calm);

  Dice dice_;
  Weather weather_;
  Now now_{Millis{1'000'000}, Millis{1'795'000'000'000}};
  Millis skew_{0};  // of the wall clock
  std::string failure_;

  Config config_;
  bool own_routes_ = false;
  std::unique_ptr<SimulatedBroker> broker_;
  Millis broker_up_at_{0};
  std::unique_ptr<Platforms> platforms_;
  Millis renewed_at_{0};  // when the new secrets are at hand

  std::vector<std::unique_ptr<Client>> clients_;
  std::multimap<std::pair<Millis, uint64_t>, Packet> network_;
  uint64_t packets_ = 0;
  uint64_t sent_ = 0;  // a digest

  // what an outside observer knows
  struct Published {
    std::string bytes;
    std::string thread;
    std::set<std::string> channels;             // in which it may be seen
    std::set<std::vector<std::string>> routes;  // by the configs that may have been asked
    int number = 0, words = 0;
    bool needs_response = false;
    bool acknowledged = false;
    bool expires = false;
    bool own = false;  // one of Detent's own alarms
  };
  std::map<std::string, Published> published_;                          // by id
  std::map<std::pair<std::string, std::string>, uint64_t> last_first_;  // (channel, thread) -> seq first taken last
  std::vector<Books::Place> overtaken_;                  // taken for the first time after a later one of their thread
  std::set<std::pair<std::string, std::string>> taken_;  // (channel, id) that a plain consumer's platform has
  std::string down_;                                     // a channel that nobody serves
  std::set<std::string> over_http_;                      // ids that wait for an answer over HTTP
  int made_ = 0;
  Counts counts_;
};

}  // namespace detent::test
