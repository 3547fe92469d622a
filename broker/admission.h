// Admission: from what a publisher sends to records in the batch, each with a number and its route, and to the answer
// that it gets once they are durable.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/text_map.h"
#include "base/ulid.h"
#include "broker/alarms.h"
#include "broker/counters.h"
#include "broker/deliveries.h"
#include "bus/sessions.h"
#include "journal/id_window.h"
#include "proto/signal_validator.h"
#include "routing/router.h"

namespace detent {

/// What became of signals handed in by `Admission::admit_local`.
struct LocalDone {
  uint64_t ticket = 0;
  std::vector<Rejection> rejections;  // one each; reason 0: durable
};

class Admission {
 public:
  struct Options {
    Millis id_window = std::chrono::hours{24 * 90};
    size_t max_unsynced = 16 << 20;  // bytes admitted and not durable, above which publishers are told to wait
    /// After which time signals of a type expire where they do not say; 0: never.
    std::function<Millis(std::string_view type)> expires;
  };

  Admission(Options options, Router router, SignalValidator& validator, IdWindow& ids, Sessions& sessions,
            Alarms& alarms, Deliveries& deliveries, Batch& batch, CoreCounters& counters, uint64_t seed);

  void opened(const Session& session) { next_publish_.emplace(session.id, 1); }
  void ended(const Session& session) { next_publish_.erase(session.id); }
  void on_publish(const Session& session, std::string_view body, Now now);
  /// Signals that do not come over a link (HTTP, Detent's own). Answered by a LocalDone.
  uint64_t admit_local(std::vector<std::string> signals, Now now);
  /// A dead letter's signal is delivered once more, to `channel` alone.
  void revive(std::string_view channel, std::string_view signal, Now now);
  /// One of Detent's own alarms becomes a signal.
  void announce(const Notice& notice, Now now);

  /// Publishers are refused with `reason` (a Reason of wire.proto that may be retried) while it is not 0.
  void pause_publishers(int reason, std::string text);
  void drain() { draining_ = true; }
  /// Later signals go by these routes, and `Options::expires` is asked anew.
  void reroute(Router router);
  const Router& router() const { return router_; }
  /// Looks whether files of ids that could not be read can be; an alarm stands meanwhile.
  void check_ids(Now now);

  bool has_work() const { return !published_.empty() || !local_.empty(); }
  /// Together with the batch.
  void take_work();
  /// The work taken last is durable: publishers are told.
  void journalled();
  std::vector<LocalDone> local_done;

  // ---- recovery
  uint64_t next_seq() const { return next_seq_; }
  /// No number before `next` is given any more.
  void restore_numbers(uint64_t next) { next_seq_ = std::max(next_seq_, next); }
  /// The same, said durably.
  void number_from(uint64_t next);
  /// Its thread and when it expires.
  void set_terms(Open& open, const SignalHeader& head);

 private:
  enum class Verdict { Taken, Refused, Deferred };
  struct Answer {  // to a publisher's session
    struct Refusal {
      uint64_t number = 0;
      std::string id;
      Rejection rejection;
    };
    uint64_t session = 0;
    uint64_t upto = 0;
    std::vector<Refusal> refusals;
    uint64_t resume = 0;
    int reason = 0;
    std::string text;
  };

  Answer& answer_to(uint64_t session);
  Verdict admit(std::span<char> signal, Now now, Rejection& rejection);
  /// Numbers it and writes its record; the caller hands it to the deliveries.
  Open append(std::string_view signal, const SignalHeader& head, const Route& route, bool unproven, bool revived,
              Now now);
  const Route& route_of(const SignalHeader& head);

  const Options options_;
  Router router_;
  SignalValidator& validator_;
  IdWindow& ids_;
  Sessions& sessions_;
  Alarms& alarms_;
  Deliveries& deliveries_;
  Batch& batch_;
  CoreCounters& counters_;
  UlidSource ulids_;
  uint64_t next_seq_ = 1;
  uint64_t next_ticket_ = 1;
  int pause_reason_ = 0;
  std::string pause_text_;
  bool draining_ = false;
  std::unordered_map<uint64_t, uint64_t> next_publish_;  // the number expected next, by session
  TextMap<Millis> terms_;                                // `expires` by type
  std::vector<Answer> published_, published_under_way_;
  std::vector<LocalDone> local_, local_under_way_;
};

}  // namespace detent
