// The broker's mind: who is connected, what is admitted, where it goes, and what became of it. A plain state machine
// without I/O and without a clock: messages and the time go in; messages, journal records and dead letters come out.
// The broker's loop runs it on real sockets and a real disk, the simulator on false ones. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/text_map.h"
#include "base/ulid.h"
#include "broker/alarms.h"
#include "broker/channel.h"
#include "bus/sessions.h"
#include "journal/id_window.h"
#include "journal/journal.h"
#include "proto/frame.h"
#include "proto/signal_validator.h"
#include "routing/router.h"

namespace detent {

/// A message to a peer. Where it is a Deliver, the bodies are still in the journal: whoever sends it reads them and
/// seals.
struct Outgoing {
  struct Item {
    uint64_t delivery = 0;
    uint64_t seq = 0;
    uint64_t credit = 0;  // bytes of it that this one took
    uint32_t attempt = 0;
    RecordRef at;
    bool repeat_unproven = false;
    bool copy = false;
    int64_t journalled_ms = 0;
    std::vector<std::string> parts;  // each an encoded Part
  };
  struct Bodies {
    uint64_t session = 0;
    uint64_t number = 0;
    std::string channel;
    std::vector<Item> items;
  };
  std::string peer;
  std::string frame;
  std::unique_ptr<Bodies> deliver;
};

/// Deliveries of an Outgoing whose bodies could not be read, and which its frame does without.
struct Unread {
  std::vector<Outgoing::Item> lost;     // for good: damaged, or not there
  std::vector<Outgoing::Item> failed;   // this time
  std::vector<Outgoing::Item> untried;  // after some had failed
  std::string why;
  bool empty() const { return lost.empty() && failed.empty(); }
};

/// A delivery by its id, and its channel: in a state of version 1 two channels' deliveries may share an id.
struct DeliveryKey {
  std::string channel;
  uint64_t delivery = 0;
  auto operator<=>(const DeliveryKey&) const = default;
};

/// A delivery to be written to the dead letters' journal. It is settled after that.
struct NewDeadLetter {
  uint64_t delivery = 0;
  uint64_t seq = 0;  // of its signal
  std::string channel;
  RecordRef at;
  std::string cause;
  uint32_t attempts = 0;
  int64_t at_ms = 0;
  std::vector<std::string> parts;
};

/// A question of the command line; whoever runs the core answers with `Core::answer`.
struct AdminCall {
  uint64_t session = 0;
  uint64_t ask = 0;
  std::string json;
};

/// What became of signals handed in by `Core::admit_local`.
struct LocalDone {
  uint64_t ticket = 0;
  std::vector<Rejection> faults;  // one each; reason 0: durable
};

/// A tail request, started or stopped.
struct TailChange {
  uint64_t session = 0;
  std::string channel, type;
  int64_t since_ms = 0;
  bool stop = false;
};

class Core {
 public:
  struct Options {
    std::string broker = "detent-broker";
    Millis ping_every{2000};
    Backoff backoff{Millis{500}, Millis{300'000}};
    uint64_t backlog_bytes = uint64_t{1} << 30;
    Millis backlog_age = std::chrono::hours{24 * 30};
    Millis id_window = std::chrono::hours{24 * 90};
    uint32_t max_losses = 10;        // consumers that may die of a delivery before it is given up
    size_t max_unsynced = 16 << 20;  // bytes admitted and not durable, above which publishers are told to wait
    size_t max_sessions = 1024;
    std::vector<std::string> channels;  // configured; others may not be consumed
    /// After which time signals of a type expire where they do not say; 0: never.
    std::function<Millis(std::string_view type)> expires;
  };

  Core(Options options, Router router, SignalValidator& validator, IdWindow& ids, uint64_t seed);
  ~Core();

  // ---- recovery, in this order
  void restore(std::string_view snapshot);
  void replay(std::string_view record, const RecordPosition& place, bool after_snapshot);
  void replay_dead(std::string_view dead_record);
  void recovered(Now now);
  /// Signals of which the snapshot or the numbering tells, and which the journal has lost.
  uint64_t missing() const { return missing_; }

  // ---- a turn: any number of these …
  void receive(std::string_view peer, std::span<char> message, Now now);
  void gone(std::string_view peer, Now now);
  /// Signals that do not come over a link (HTTP, Detent's own). Answered by a LocalDone.
  uint64_t admit_local(std::vector<std::string> signals, Now now);
  /// A dead letter's signal is delivered once more, to `channel` alone.
  void revive(std::string_view channel, std::string signal, Now now);
  /// A dead letter was retried or dropped.
  void dead_letter_closed(const DeliveryKey& letter, Now now);
  void answer(const AdminCall& call, std::string_view json, std::string_view error);
  /// The same, once all that was appended so far is durable.
  void reply_durable(const AdminCall& call, std::string json);
  /// Sends a frame to a session where it still is.
  void send(uint64_t session, uint32_t field, std::string_view body);
  /// Asks a session for a PONG, behind what was sent to it; how many it owes.
  void ping(uint64_t session);
  uint32_t unanswered_pings(uint64_t session) const;
  /// The same of every consumer, since one of them may be gone: what cannot be sent says whose deliveries are free.
  void ping_consumers();
  /// Settles all that is open of a channel as dropped; false where there is none such.
  bool drop_channel(std::string_view channel, Now now);
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
  /// Publishers are refused with `reason` (a Reason of wire.proto that may be retried) while it is not 0.
  void pause_publishers(int reason, std::string text);
  /// Later signals go by these routes, and `Options::expires` is asked anew. `channels`: those that are configured,
  /// which alone may be consumed.
  void reroute(Router router, std::vector<std::string> channels);
  /// New publishes and sessions are refused: the broker is about to stop.
  void drain();
  void tick(Now now);
  /// When `tick` has something to do (monotonic).
  Millis deadline() const;

  /// … then this: hands out what may be delivered, then what is appended may be taken.
  void flush(Now now);
  bool wants_sync() const;
  bool is_syncing() const { return under_way_; }
  size_t unsynced_bytes() const { return batch_.bytes(); }
  /// What is to be made durable at once: the dead letters in the dead letters' journal, then the batch.
  struct Work {
    Batch batch;
    std::vector<NewDeadLetter> new_dead_letters;
    uint64_t last_seq = 0;
  };
  Work take_work();
  /// Gives back the batch of a work that is done, so that its memory is filled again.
  void reuse(Batch batch);
  /// The state as of the work taken last, for a snapshot to be written after it. Only directly after `take_work`.
  std::string snapshot() const;
  /// The work taken last is durable at `segment`, its records' offsets relative to `base`.
  void journalled(uint32_t segment, uint32_t base, Now now);
  /// Of the work's dead letters these are durable, and those wait: their texts could not be read this time.
  void dead_lettered(const std::vector<DeliveryKey>& written, const std::vector<DeliveryKey>& unread,
                     const std::string& why, Now now);

  std::vector<Outgoing> outgoing;
  std::vector<AdminCall> admin_calls;
  std::vector<LocalDone> local_done;
  std::vector<TailChange> tail_changes;

  Alarms& alarms() { return alarms_; }
  const Alarms& alarms() const { return alarms_; }

  // ---- to look at
  struct Counters {
    uint64_t admitted = 0, repeats = 0, refused = 0, held = 0, malformed = 0, not_allowed = 0, too_large = 0,
             delivered = 0, unknown = 0, expired = 0, dead = 0, redelivered = 0, stale = 0, unrouted = 0, unproven = 0,
             gaps = 0, alarms = 0, dropped = 0;
  };
  Counters counters() const;
  const std::map<std::string, Channel, std::less<>>& channels() const { return channels_; }
  struct ChannelHealth {
    bool circuit_open = false;
    std::string why;
    std::string trouble;  // why deliveries come back; empty: they do not
    int64_t trouble_since_ms = 0;
    uint64_t under_way = 0;
    size_t consumers = 0;
    uint64_t dead = 0;
    uint64_t delivered = 0;
  };
  ChannelHealth health(std::string_view channel) const;
  /// Oldest first.
  std::vector<const Session*> sessions() const;
  uint64_t next_seq() const { return next_seq_; }
  const Router& router() const { return router_; }
  /// Segments in which a signal is still open.
  std::set<uint32_t> segments_in_use() const;
  /// The least credit that any session has left with a channel; for the simulator's invariant.
  bool credit_is_sound() const;

 private:
  struct Consumer;   // what a consumer's session has in hand
  struct Consumers;  // of one channel
  struct Acks;       // answers that wait for a batch
  enum class Verdict { Taken, Refused, Held };

  Sessions::Rules rules();
  void opened(const Session& session);
  void ended(const Session& session, Now now);
  void on_publish(const Session& session, std::string_view body, Now now);
  void on_credit(const Session& session, std::string_view body, Now now);
  void on_begun(const Session& session, std::string_view body, Now now);
  void on_settle(const Session& session, std::string_view body, Now now);
  void on_tail(const Session& session, std::string_view body, Now now);
  Verdict admit(std::span<char> signal, Now now, Rejection& fault);
  void append_signal(std::string_view signal, const SignalHeader& head, const Route& route, bool unproven, bool revived,
                     Now now);
  /// The id of the delivery that holds this signal, a new one where it has none yet.
  uint64_t delivery_of(Open& open);
  void append_settled(Channel& channel, const Open& open, int state, const std::map<uint32_t, std::string>& parts,
                      std::string_view cause, Now now);
  /// Gives it up: it is settled once its dead letter is durable.
  void dead_letter(Channel& channel, Open& open, std::string cause, Now now);
  void write_letter(const Channel& channel, const Open& open, const std::string& cause, Now now);
  void settle_dead(Channel& channel, uint64_t seq, const std::string& cause, Now now);
  /// Its body could not be read; after how long it is tried again.
  Millis read_failed(const DeliveryKey& delivery, const RecordRef& at, const std::string& why, Now now);
  void check_ids(Now now);
  /// Whether all that says that the part was begun still waits to be durable.
  bool is_beginning(std::string_view channel, uint64_t delivery, uint32_t part) const;
  void finish(Channel& channel, uint64_t seq);
  void replay_settled(Channel& channel, uint64_t seq);
  uint64_t recorded(uint64_t delivery, uint64_t first_seq);
  void pump(Channel& channel, Now now);
  void settle_outcome(Channel& channel, Open& open, int outcome, std::map<uint32_t, std::string> parts,
                      const std::string& cause, uint32_t delay_ms, Now now);
  bool expire(Channel& channel, Open& open, Now now);
  bool under_way_somewhere(const std::string& channel, uint64_t delivery) const;
  void set_terms(Open& open, const SignalHeader& head);
  const Route& route_of(const SignalHeader& head);
  void circuit_closed(const std::string& channel, Now now);
  void announce(const Notice& notice, Now now);
  void enforce_backlog_limit(Channel& channel, Now now);
  /// Whether it said so in HELLO; where not, that is not allowed, and the session is over.
  bool serves(const Session& session, std::string_view channel, Now now);
  Channel& channel(std::string_view name);
  Consumers& consumers(std::string_view name);
  void count_segment(uint32_t segment, int64_t change);

  Options options_;
  Router router_;
  SignalValidator& validator_;
  IdWindow& ids_;
  std::mt19937_64 random_;
  UlidSource ulids_;
  uint64_t next_seq_ = 1;
  uint64_t next_delivery_ = 1;
  uint64_t next_ticket_ = 1;
  int hold_reason_ = 0;
  std::string hold_text_;
  bool draining_ = false;

  std::map<std::string, Channel, std::less<>> channels_;
  std::map<std::string, Consumers, std::less<>> consumers_;
  Sessions sessions_;
  std::unordered_map<uint64_t, uint64_t> next_publish_;          // the number expected next of a publisher's session
  std::unordered_map<uint64_t, Consumer> holders_;               // consumers, by session
  std::map<std::string, std::set<uint64_t>, std::less<>> dead_;  // their deliveries' ids, by channel
  std::unordered_map<uint32_t, uint64_t> in_segment_;
  uint64_t missing_ = 0;
  TextMap<Millis> terms_;  // `expires` by type
  Now last_sweep_{};

  // what the next work will hold, and what waits for the one under way
  Batch batch_;
  Alarms alarms_;
  Batch spare_batch_;  // empty, with the memory of one that is done
  std::vector<NewDeadLetter> new_dead_letters_;
  struct GivenUp {
    uint64_t seq = 0;
    std::string cause;
  };
  std::map<DeliveryKey, GivenUp> given_up_;         // their letters are not durable yet
  std::multimap<Millis, DeliveryKey> letters_due_;  // those of them whose letters wait to be tried again
  std::map<DeliveryKey, Failing> failing_;
  std::unique_ptr<Acks> acks_;  // for the batch that fills
  std::unique_ptr<Acks> acks_under_way_;
  bool under_way_ = false;
  uint64_t under_way_last_seq_ = 0;

  struct Restoring;  // only between restore and recovered
  std::unique_ptr<Restoring> restoring_;

  Counters counters_;
};

}  // namespace detent
