// When the ledger commits, and what: a plain function of what waits and of the time. No I/O, no clock.
//
// At normal volumes each signal gets a commit of its own, which waits a little for its receipts. Heartbeats are
// gathered. Under load a commit takes all that waits, once a second; with a backlog, full batches go back to back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace detent {

class CommitPolicy {
 public:
  struct Limits {
    Millis receipts_wait{2'000};     // how long a signal's commit waits for its receipts
    Millis late_receipts{60'000};    // how long receipts of committed signals wait for a commit to go with
    Millis gather{3'600'000};        // how long gathered signals wait
    std::size_t max_gathered = 128;  // … and how many
    Millis batch_every{1'000};       // between commits under load
    std::size_t batch_bytes = 8 << 20;
    std::size_t burst = 32;        // commits of one signal that may follow one another at once …
    Millis single_every{1'000};    // … and how often one more becomes possible
    std::size_t max_held = 1'024;  // records that may be overtaken by later ones
  };

  enum class Kind { signal, gathered, receipt };

  /// What the policy needs to know of a record. `receipts` is how many the signal waits for.
  struct Item {
    std::uint64_t place = 0;
    std::uint64_t seq = 0;
    Kind kind = Kind::signal;
    std::size_t bytes = 0;
    std::size_t receipts = 0;
  };

  CommitPolicy();
  explicit CommitPolicy(Limits limits) : limits_{limits} {}

  void add(const Item& item, Millis mono);

  /// The places that belong into one commit at `mono`, in their order; empty: nothing is due.
  std::vector<std::uint64_t> due(Millis mono) const;
  /// The next batch whatever the time: for a drain.
  std::vector<std::uint64_t> batch() const;
  /// They are committed: forgets them.
  void committed(const std::vector<std::uint64_t>& places, Millis mono);

  /// The places below `place` that would still wait after a commit of `places`.
  std::vector<std::uint64_t> held_after(const std::vector<std::uint64_t>& places, std::uint64_t place) const;

  /// How long until `due` may have something by the passing of time alone; empty: nothing waits.
  std::optional<Millis> wait(Millis mono) const;

  /// So much waits that the caller should commit before it adds more.
  bool full() const { return bytes_ >= 2 * limits_.batch_bytes; }
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Item item;
    Millis since{0};
    std::vector<std::uint64_t> receipts;  // places of those that came for it
  };
  using Waiting = std::map<std::uint64_t, Entry>;

  bool ready(const Entry& entry, Millis mono) const;
  bool with_a_signal(const Entry& entry) const;
  std::size_t singles_allowed(Millis mono) const;
  void take(const Entry& entry, std::vector<std::uint64_t>& places) const;

  Limits limits_;
  Waiting waiting_;                                           // by place
  std::unordered_map<std::uint64_t, std::uint64_t> signals_;  // seq -> place, of the signals that wait
  std::size_t bytes_ = 0;
  Millis singles_paid_to_{Millis::min()};  // the bucket of single commits, as the time at which it is full again
  Millis last_commit_{Millis::min()};
};

}  // namespace detent
