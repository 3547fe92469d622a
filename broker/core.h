// The broker's mind: who is connected, what is admitted, where it goes, and what became of it. A plain state machine
// without I/O and without a clock: messages and the time go in; messages, journal records and dead letters come out.
// The broker's loop runs it on real sockets and a real disk, the simulator on false ones. One thread.
//
// It puts together Sessions, Admission, Deliveries and Alarms, which share one batch of records; CoreRecovery brings
// them back after a restart.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/admission.h"
#include "broker/alarms.h"
#include "broker/core_recovery.h"
#include "broker/deliveries.h"
#include "bus/sessions.h"
#include "journal/batch.h"

namespace detent {

/// A question of the command line; whoever runs the core answers with `Core::answer`.
struct AdminCall {
  uint64_t session = 0;
  uint64_t ask = 0;
  std::string json;
};

/// A tail request, started or stopped.
struct TailChange {
  uint64_t session = 0;
  std::string channel, type;
  int64_t since_ms = 0;
  bool stop = false;
  std::set<std::string, std::less<>> also_from;
};

class Core {
 public:
  struct Options {
    std::string broker = "detent-broker";
    Millis ping_every{2000};
    size_t max_sessions = 1024;
    std::vector<std::string> channels;  // configured; others may not be consumed
    Admission::Options admission{};
    Deliveries::Options deliveries{};
  };

  Core(Options options, Router router, SignalValidator& validator, IdWindow& ids, uint64_t seed);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // ---- recovery, in this order
  void restore(std::string_view snapshot) { recovery_->restore(snapshot); }
  void replay(std::string_view record, const RecordPosition& place, bool after_snapshot) {
    recovery_->replay(record, place, after_snapshot);
  }
  void replay_dead(std::string_view dead_record) { recovery_->replay_dead(dead_record); }
  /// The undelivered signals of which the snapshot or the numbering tells, and which the journal has lost.
  MissingSignals recovered(Now now);

  // ---- a turn: any number of these, or of what its parts offer …
  void receive(std::string_view peer, std::span<char> message, Now now);
  void gone(std::string_view peer, Now now) { sessions_.gone(peer, now); }
  void answer(const AdminCall& call, std::string_view json, std::string_view error);
  /// The same, once all that was appended so far is durable.
  void reply_durable(const AdminCall& call, std::string json) { answers_.emplace_back(call, std::move(json)); }
  /// Asks every consumer for a PONG, since one of them may be gone: what cannot be sent says whose deliveries are free.
  void ping_consumers();
  /// Later signals go by these routes. `channels`: those that are configured, which alone may be consumed.
  void reroute(Router router, std::vector<std::string> channels);
  /// New publishes and sessions are refused: the broker is about to stop.
  void drain();
  void tick(Now now);
  /// When `tick` or `flush` has something to do (monotonic).
  Millis deadline() const;

  /// … then this: hands out what may be delivered, then what is appended may be taken.
  void flush(Now now) { deliveries_.flush(now); }
  bool wants_sync() const;
  bool is_syncing() const { return under_way_; }
  size_t unsynced_bytes() const { return batch_.bytes(); }
  /// What is to be made durable at once: the dead letters in the dead letters' journal, then the batch.
  struct Work {
    Batch batch;
    std::vector<NewDeadLetter> new_dead_letters;
  };
  Work take_work();
  /// Gives back the batch of a work that is done, so that its memory is filled again.
  void reuse(Batch batch);
  /// The state as of the work taken last, for a snapshot to be written after it. Only directly after `take_work`.
  std::string snapshot() const;
  /// The work taken last is durable at `segment`, its records' offsets relative to `base`.
  void journalled(uint32_t segment, uint32_t base, Now now);

  std::vector<Outgoing> outgoing;
  std::vector<AdminCall> admin_calls;
  std::vector<TailChange> tail_changes;

  Sessions& sessions() { return sessions_; }
  const Sessions& sessions() const { return sessions_; }
  Admission& admission() { return admission_; }
  const Admission& admission() const { return admission_; }
  Deliveries& deliveries() { return deliveries_; }
  const Deliveries& deliveries() const { return deliveries_; }
  Alarms& alarms() { return alarms_; }
  const Alarms& alarms() const { return alarms_; }
  CoreCounters counters() const;

 private:
  Sessions::Rules rules(SignalValidator& validator);
  void opened(const Session& session);
  void ended(const Session& session, Now now);
  void on_tail(const Session& session, std::string_view body, Now now);

  std::vector<std::string> channels_;
  CoreCounters counters_;
  Batch batch_;        // what the next work will hold
  Batch spare_batch_;  // empty, with the memory of one that is done
  Sessions sessions_;
  Alarms alarms_;
  Deliveries deliveries_;
  Admission admission_;
  std::unique_ptr<CoreRecovery> recovery_;  // until `recovered`
  Now last_sweep_{};

  // answers that wait for a work: the next, and the one under way
  std::vector<std::pair<AdminCall, std::string>> answers_, answers_under_way_;
  std::vector<uint64_t> byes_, byes_under_way_;
  bool under_way_ = false;
  uint64_t under_way_last_seq_ = 0;
};

}  // namespace detent
