// What a publisher knows and does, without sockets, threads or a clock: the signals that the broker has not
// acknowledged, in order, packed into Publish frames, and sent again from the first of them in each new session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace detent {

class PublisherCore {
 public:
  struct Limits {
    size_t frame_signals = 256;        // of one Publish frame
    size_t frame_bytes = 256 * 1024;   // likewise; a larger signal has a frame for itself
    size_t window = 64;                // frames in flight: more than a broker takes up while it syncs once
    size_t memory = 64 * 1024 * 1024;  // bytes held until they are acknowledged
  };

  /// A signal that the broker will not have. `reason` is a Reason of proto/wire.proto.
  struct Refusal {
    uint64_t ticket = 0;
    int reason = 0;
    std::string text;
  };
  /// Every ticket up to `upto` is durable, but for `refusals`.
  struct Progress {
    uint64_t upto = 0;
    std::vector<Refusal> refusals;
  };

  PublisherCore() : PublisherCore(Limits{}) {}
  explicit PublisherCore(Limits limits) : limits_(limits) {}

  /// Takes in one encoded Signal. Its ticket: 1, 2, 3 …, in the order in which they will be journalled. An error where
  /// the memory is full, or the signal over what any broker takes.
  Result<uint64_t> add(std::string_view signal);

  /// A session began: all that is not acknowledged goes again, numbered anew.
  void opened();
  /// The session is over.
  void lost();

  /// Whether `next_frame` would give one.
  bool ready(Now now) const;
  /// The body of the next Publish frame, in two pieces that follow one another. Valid until the next call of anything.
  struct Frame {
    std::string_view head, signals;
    size_t size() const { return head.size() + signals.size(); }
  };
  std::optional<Frame> next_frame(Now now);

  /// The broker's Published, still encoded.
  Progress published(std::string_view body, Now now);

  /// When a refusal that may be retried is to be retried (monotonic).
  std::optional<Millis> retry_at() const { return retry_at_; }
  /// Why the broker has paused publishers ("disk low: …"); empty where it has not.
  const std::string& paused_why() const { return paused_why_; }

  uint64_t last_ticket() const { return last_; }
  uint64_t settled_upto() const { return settled_; }
  bool idle() const { return settled_ == last_; }
  size_t held_bytes() const { return held_; }

 private:
  /// Signals as they stand in a Publish frame, tags and lengths included.
  struct Pack {
    uint64_t first = 0;  // ticket
    uint64_t count = 0;
    std::string bytes;
    uint64_t end() const { return first + count; }
  };

  void go_back_to(uint64_t ticket);
  void begin_pack();
  void settle_pack();
  /// The pack that holds the ticket that goes next.
  Pack& next_pack();

  Limits limits_;
  std::deque<Pack> packs_;          // oldest first; none is empty
  size_t next_at_ = 0;              // where among them `next_` was found last
  std::vector<std::string> spare_;  // memory of packs that are settled, to be filled again; none while idle
  size_t spare_bytes_ = 0;          // of it; counts as held where `memory` is concerned
  size_t held_ = 0;
  uint64_t last_ = 0;
  uint64_t settled_ = 0;

  bool open_ = false;
  uint64_t base_ = 0;               // ticket - base_ is the number in the session
  uint64_t next_ = 1;               // ticket that goes next
  std::deque<uint64_t> under_way_;  // the last ticket of each frame sent
  std::optional<Millis> retry_at_;
  uint64_t resumed_at_ = 0;
  std::string paused_why_;
  std::map<uint64_t, Refusal> refused_;  // told, and not yet passed by `upto`
  std::string head_;
};

}  // namespace detent
