// Deliveries: each channel's queue, who has what of it in hand, and what became of it. What is admitted waits here
// until a consumer has credit for it; how it ended goes into the batch. What is given up is settled once its dead
// letter is durable.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "broker/alarms.h"
#include "broker/channel.h"
#include "broker/consumers.h"
#include "broker/counters.h"
#include "broker/delivery.h"
#include "bus/sessions.h"
#include "journal/batch.h"
#include "proto/signal_validator.h"
#include "routing/router.h"

namespace detent {

class Deliveries {
 public:
  struct Options {
    Backoff backoff{Millis{500}, Millis{300'000}};
    uint64_t backlog_bytes = uint64_t{1} << 30;
    Millis backlog_age = std::chrono::hours{24 * 30};
    uint32_t max_losses = 10;  // consumers that may die of a delivery before it is given up
  };
  using Channels = std::map<std::string, Channel, std::less<>>;

  /// Records go to `batch`, messages to `outgoing`; secrets in what consumers say are masked by `validator`.
  Deliveries(Options options, Sessions& sessions, Alarms& alarms, SignalValidator& validator, Batch& batch,
             std::vector<Outgoing>& outgoing, CoreCounters& counters, uint64_t seed);

  /// A signal that was appended waits in each channel of its route.
  void admit(Open open, const Route& route);
  /// The same of a dead letter that is brought back: its time has passed long ago, and the operator wants it all the
  /// same.
  void admit_for_ever(Open open, const Route& route);

  // ---- consumers
  void opened(const Session& session);
  void ended(const Session& session, Now now);
  void on_credit(const Session& session, std::string_view body, Now now);
  /// Hands out nothing more.
  void drain() { draining_ = true; }
  void on_begun(const Session& session, std::string_view body, Now now);
  void on_settle(const Session& session, std::string_view body, Now now);

  // ---- a turn
  /// Hands out what may be delivered.
  void flush(Now now);
  /// Expires, and keeps backlogs to their limits. Twice a second.
  void sweep(Now now);
  Millis deadline() const;

  // ---- what is made durable
  bool has_work() const { return !new_dead_letters_.empty() || !begun_.empty(); }
  /// Together with the batch.
  std::vector<NewDeadLetter> take_work();
  /// The work taken last is durable, up to signal `last_seq`, at `segment`; its records' offsets are relative to
  /// `base`.
  void journalled(uint64_t last_seq, uint32_t segment, uint32_t base);
  /// Of the work's dead letters these are durable, and those wait: their texts could not be read this time.
  void dead_lettered(const std::vector<DeliveryKey>& written, const std::vector<DeliveryKey>& unread,
                     const std::string& why, Now now);
  /// A dead letter was retried or dropped.
  void dead_letter_closed(const DeliveryKey& letter, Now now);

  /// The bodies that were asked for have been read, but for these. What is lost is given up; the rest waits and is
  /// tried again, and until it could be read an alarm stands. Adds nothing to `outgoing`.
  void bodies_read(const Outgoing::Bodies& bodies, const Unread& unread, Now now);
  /// Open deliveries whose bodies could not be read the last time, and where these lie; told by `readable` once one
  /// could be.
  struct Failing {
    RecordRef at;
    uint32_t times = 0;
  };
  const std::map<DeliveryKey, Failing>& failing() const { return failing_; }
  void readable(const DeliveryKey& delivery, Now now);

  /// Settles as dropped up to `most` of what waits for a channel, numbered up to `upto`: not what is in hand, nor what
  /// is about to be a dead letter. How many those were.
  size_t drop(const std::string& channel, uint64_t upto, size_t most, Now now);

  // ---- recovery
  Channel& channel(std::string_view name);
  void restore(Channel& channel, const Open& open);
  /// The id of a delivery as a record tells it; in version 1 that was the number of its only signal. No later one gets
  /// it.
  uint64_t recorded(uint64_t delivery, uint64_t first_seq);
  /// No id before `next` is given any more.
  void restore_ids(uint64_t next) { next_delivery_ = std::max(next_delivery_, next); }
  uint64_t next_delivery() const { return next_delivery_; }
  void restore_dead(const DeliveryKey& letter) { dead_[letter.channel].insert(letter.delivery); }
  void restore_closed(const DeliveryKey& letter) { dead_[letter.channel].erase(letter.delivery); }
  /// The signal's delivery ended, and the journal says so.
  void finish(Channel& channel, uint64_t seq);
  /// Its letter is durable, and the settling that follows is not.
  void settle_dead(Channel& channel, uint64_t seq, const std::string& cause, Now now);
  /// The same, where the record of its signal is damaged since.
  void settle_dead_without_record(const DeliveryKey& letter, uint64_t seq, const std::map<uint32_t, std::string>& parts,
                                  const std::string& cause, Now now);
  /// All is restored: the alarms follow. The journal and that of the dead letters may have ended at different moments.
  void settle_alarms(Now now);

  // ---- to look at
  const Channels& channels() const { return channels_; }
  struct Health {
    bool circuit_open = false;
    std::string why;
    std::string trouble;  // why deliveries come back; empty: they do not
    int64_t trouble_since_ms = 0;
    uint64_t under_way = 0;
    size_t consumers = 0;
    uint64_t dead = 0;
    uint64_t delivered = 0;
  };
  Health health(std::string_view channel) const;
  /// Segments in which a signal is still open.
  std::set<uint32_t> segments_in_use() const;
  /// Whether what consumers hold and may still take adds up; for the simulator's invariant.
  bool credit_is_sound() const;

 private:
  struct Beginning {  // to be said once it is durable
    uint64_t session = 0;
    std::string channel;
    uint64_t delivery = 0;
    uint32_t part = 0;
    bool first = false;  // nothing that is durable says that it was begun before
  };
  struct GivenUp {
    uint64_t seq = 0;
    std::string cause;
  };

  void pump(Channel& channel, Now now);
  /// The id of the delivery that holds this signal, a new one where it has none yet.
  uint64_t delivery_of(Open& open);
  /// Whether all that says that the part was begun still waits to be durable.
  bool is_beginning(std::string_view channel, uint64_t delivery, uint32_t part) const;
  bool expire(Channel& channel, Open& open, Now now);
  bool under_way_somewhere(const std::string& channel, uint64_t delivery) const;
  /// Whether it said so in HELLO; where not, that is not allowed, and the session is over.
  bool serves(const Session& session, std::string_view channel, Now now);
  void settle_outcome(Channel& channel, Open& open, int outcome, std::map<uint32_t, std::string> parts,
                      const std::string& cause, uint32_t delay_ms, Now now);
  /// A part's state: begun, done, or where it is neither, surely not taken by the platform.
  void append_begun(const Channel& channel, uint64_t seq, uint64_t delivery, const std::string& part, Now now);
  void append_settled(Channel& channel, const Open& open, int state, const std::map<uint32_t, std::string>& parts,
                      std::string_view cause, Now now);
  void circuit_closed(const std::string& channel, Now now);
  /// Gives it up: it is settled once its dead letter is durable.
  void dead_letter(Channel& channel, Open& open, std::string cause, Now now);
  void write_letter(const Channel& channel, const Open& open, const std::string& cause, Now now);
  void raise_dead_letters(const std::string& channel, const std::string& cause, Now now);
  void clear_failing(Now now);
  void enforce_backlog_limit(Channel& channel, Now now);
  /// Its body could not be read; after how long it is tried again.
  Millis read_failed(const DeliveryKey& delivery, const RecordRef& at, const std::string& why, Now now);
  ChannelConsumers& consumers(std::string_view name);
  void count_segment(uint32_t segment, int64_t change);

  const Options options_;
  Sessions& sessions_;
  Alarms& alarms_;
  SignalValidator& validator_;
  Batch& batch_;
  std::vector<Outgoing>& outgoing_;
  CoreCounters& counters_;
  std::mt19937_64 random_;
  uint64_t next_delivery_ = 1;

  Channels channels_;
  std::map<std::string, ChannelConsumers, std::less<>> consumers_;
  std::unordered_map<uint64_t, Consumer> holders_;               // by session
  std::map<std::string, std::set<uint64_t>, std::less<>> dead_;  // dead letters, by channel
  std::unordered_map<uint32_t, uint64_t> in_segment_;            // open signals
  std::vector<Beginning> begun_, begun_under_way_;
  std::vector<NewDeadLetter> new_dead_letters_;
  std::map<DeliveryKey, GivenUp> given_up_;         // their letters are not durable yet
  std::multimap<Millis, DeliveryKey> letters_due_;  // those of them whose letters wait to be tried again
  std::map<DeliveryKey, Failing> failing_;
  bool draining_ = false;
};

}  // namespace detent
