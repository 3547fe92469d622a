// What a state machine offers to the host that runs it. The machine does no waiting and reads no clock: messages and
// the time go in; records to be made durable and messages to be sent come out. The broker is one; the dispatcher is to
// be another.
//
// All of it is called on the loop's thread, but for `Work::before` and `Work::after` and what `let_go` returns, which
// are called on the journal's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "journal/batch.h"
#include "journal/journal.h"

namespace detent {

/// What is to be made durable at once, in this order. Where one of them fails and `may_pass`, it is done again later.
struct Work {
  std::function<Result<void>()> before;  // the machine's own, elsewhere than in the journal; null: nothing
  Batch batch;
  std::function<Result<void>()> after;  // likewise
  bool empty() const { return batch.empty() && !before && !after; }
};

/// Which segments of the journal must stay.
struct Kept {
  uint64_t from = 0;            // this one and all after it
  std::set<uint32_t> segments;  // and these
};

class Machine {
 public:
  virtual ~Machine() = default;

  // ---- recovery, in this order
  virtual void restore(std::string_view snapshot) = 0;
  /// `after_snapshot`: not yet part of the snapshot's state.
  virtual void replay(std::string_view record, const RecordPosition& position, bool after_snapshot) = 0;
  /// Told where it is found, between the records around it.
  virtual void damaged(const Damage& damage) = 0;
  /// All was told. The machine opens what else it keeps; `journal` outlives every later call.
  virtual Result<void> recovered(Journal& journal, Now now) = 0;

  // ---- a turn, in this order
  virtual void receive(std::string_view peer, std::span<char> message, Now now) = 0;
  /// When `tick` has something to do (monotonic).
  virtual Millis deadline() const = 0;
  virtual void tick(Now now) = 0;
  /// About once a second.
  virtual void look(Now now) = 0;
  /// A connection ended, and it is not known whose: sends something to each peer that would be missed, so that its
  /// being gone shows.
  virtual void probe_peers() = 0;
  /// The rest of the turn: after it comes `take_work`.
  virtual void flush(Now now) = 0;
  /// What waits to be made durable; none: nothing. Not called again before `journalled`.
  virtual std::optional<Work> take_work(Now now) = 0;
  /// The state as of the work taken last. Only directly after `take_work`, or once it has drained.
  virtual std::string snapshot() = 0;
  /// Hands each message to `send`. True: it has more to send, in a turn that comes at once.
  using Send = std::function<void(std::string_view peer, std::string_view message)>;
  virtual bool send(const Send& send, Now now) = 0;
  /// A message could not be sent: the peer is gone, or does not read.
  virtual void gone(std::string_view peer, Now now) = 0;

  // ---- what comes of it
  /// The work taken last is durable; its batch's records lie behind `appended.base_offset`. `appended.segment` is 0
  /// where there was nothing to append. Where no work was taken, a snapshot alone was: there is nothing to acknowledge.
  virtual void journalled(Work work, const Appended& appended, Now now) = 0;
  /// The work taken last cannot be made durable at the moment (no room, no descriptor): it is tried again until it can.
  virtual void cannot_write(const Error& error, Now now) = 0;
  /// How much room there is: at the start, once a second, with each segment and every few MiB.
  virtual void space(const Space& space, Now now) = 0;

  // ---- what must stay, and how much waits
  virtual bool has_work() const = 0;
  /// Bytes that wait to be taken.
  virtual size_t unsynced_bytes() const = 0;
  virtual Kept kept() const = 0;
  /// What the machine keeps elsewhere and nobody needs any more goes when this is called: after the work taken last is
  /// durable. Null: nothing.
  virtual std::function<Result<void>()> let_go() = 0;

  /// Nothing is to be begun any more: the process is about to stop.
  virtual void drain() = 0;
};

}  // namespace detent
