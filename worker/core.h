// The worker's mind: which attempts it holds, until when, and what the dispatcher is still to be told. A plain state
// machine without I/O and without a clock: frames and the time go in, and what became of attempts; frames come out, and
// what is to be started or stopped. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ulid.h"

namespace detent {

class AttemptEnded;

/// One run of a task.
struct AttemptKey {
  Ulid task;
  uint32_t epoch = 0;
  auto operator<=>(const AttemptKey&) const = default;
};

class WorkerCore {
 public:
  struct Options {
    std::vector<std::string> runners;
    std::vector<std::pair<std::string, std::string>> labels;
    uint32_t concurrency = 1;
    std::string version;
  };

  explicit WorkerCore(Options options) : options_(std::move(options)) {}

  // ---- what comes in
  /// A session with the dispatcher began, or ended. What runs goes on while its lease lasts.
  void opened(Now now);
  void lost() { open_ = false; }
  /// A frame of the dispatcher's.
  void received(uint32_t field, std::string_view body, Now now);
  /// What an attempt printed: whole lines of UTF-8.
  void printed(const AttemptKey& attempt, std::string_view text);
  /// It is over, or could not be started: an encoded AttemptEnded, kept safe by the caller until `taken`.
  void ended(const AttemptKey& attempt, std::string encoded, Now now);
  /// The same of an attempt of an earlier life of this worker.
  void restore(const AttemptKey& attempt, std::string encoded) { results_[attempt] = std::move(encoded); }
  /// Nothing is begun any more.
  void drain(Now now);
  /// All that runs is to end.
  void cancel_all(const std::string& why);
  void tick(Now now);
  Millis deadline() const;

  // ---- what comes out, for the caller to take away
  struct OutgoingFrame {
    uint32_t field = 0;
    std::string body;
  };
  std::vector<OutgoingFrame> frames;
  struct Start {
    AttemptKey attempt;
    std::string signal;  // encoded
  };
  std::vector<Start> starts;
  struct Stop {
    AttemptKey attempt;
    std::string why;
  };
  std::vector<Stop> stops;
  /// Results that need not be kept any more.
  std::vector<AttemptKey> taken;

  /// Neither runs anything nor has anything to tell.
  bool idle() const { return attempts_.empty() && results_.empty(); }
  size_t running() const { return attempts_.size(); }

 private:
  struct Held {
    std::string signal;  // until it is started
    bool started = false, stopping = false;
    Millis until{0};  // of its lease; once started
    std::string last_line;
  };

  void on_leases(std::string_view body, Now now);
  void on_assignment(std::string_view body, Now now);
  void report(Now now);
  void stop(const AttemptKey& attempt, Held& held, std::string why);
  void say_ended(const AttemptKey& attempt, int state, std::string_view why, Now now);

  const Options options_;
  bool open_ = false, draining_ = false;
  std::map<AttemptKey, Held> attempts_;
  std::map<AttemptKey, std::string> results_;  // not taken yet
  Millis lease_{60'000}, renew_{10'000};
  Millis next_report_{Millis::max()};
  uint64_t reports_ = 0;                                // of this session
  std::deque<std::pair<uint64_t, Millis>> unanswered_;  // reports, and when each was sent
};

}  // namespace detent
