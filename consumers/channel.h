// The seam between the delivery logic and a platform. A Channel knows one place of a platform (a Discord channel, a
// Telegram chat); for each delivery it gives a Job, which says one request after another and reads what came back. It
// decides nothing about trying again: that is the Courier's.
//
// Pure: no I/O and no clock. All on the thread that runs the Courier.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "http/client.h"

namespace detent {
class Delivery;
}

namespace detent::consumers {

/// One message of a delivery, as the broker remembers it (proto/wire.proto's Part).
struct PartState {
  uint32_t part = 0;
  bool done = false;
  int64_t begun_ms = 0;  // 0 while not done: the platform surely does not have it
  std::string message_id;
  std::string link;
  std::string place;

  bool perhaps() const { return !done && begun_ms > 0; }
};

/// What a Job wants next.
struct Step {
  enum Kind {
    Done,     // every part is done, or known to be unknown
    Request,  // `request` is to be sent
  };
  Kind kind = Done;
  http::Request request{};
  uint32_t part = 0;    // the part that it sends; 0: a request that may be repeated freely
  std::string place{};  // where that part goes, where not the channel itself
  bool begin = false;   // not before the broker knows durably that this part was begun
};

/// What an answer means.
struct Verdict {
  enum Kind {
    Continue,       // ask for the next step
    RetryLater,     // surely not taken; try again
    Ambiguous,      // perhaps taken
    Refused,        // for good
    Misconfigured,  // the channel itself: wrong token, webhook gone
  };
  Kind kind = Continue;
  std::string why{};
  Millis delay{0};       // with RetryLater: what the service asked for
  bool limited = false;  // with RetryLater: a rate limit
  uint32_t done = 0;     // with Continue: this part is now done
};

class Job {
 public:
  virtual ~Job() = default;
  virtual Step next(Now now) = 0;
  /// How long until the step's request may go.
  virtual Millis wait(Now now) const = 0;
  /// The step's request goes.
  virtual void sent(Now now) = 0;
  virtual Verdict answered(const http::Answer& answer, Now now) = 0;

  /// An answer left it open whether this part arrived, and it is not to be sent again: go on without.
  void leave(uint32_t part) { unknown.push_back(part); }
  bool left(uint32_t part) const { return std::find(unknown.begin(), unknown.end(), part) != unknown.end(); }

  std::vector<PartState> parts;
  /// A part may be sent again although it perhaps arrived: the platform makes repeats one, or a repeat is marked as
  /// such and better than silence.
  bool repeatable = false;
  /// Parts that perhaps arrived and were not sent again.
  std::vector<uint32_t> unknown;
  /// How many messages the whole has, as far as known.
  size_t size = 1;

  PartState& part(uint32_t number) {
    for (PartState& known : parts) {
      if (known.part == number) return known;
    }
    parts.push_back({.part = number});
    return parts.back();
  }
};

class Channel {
 public:
  virtual ~Channel() = default;
  virtual std::unique_ptr<Job> take(const Delivery& delivery, std::vector<PartState> parts, Now now) = 0;
  /// The token is another than before: what was concluded from the old one no longer holds.
  virtual void token_changed() = 0;

  /// Lines for the log, each said once; the owner takes them away.
  std::vector<std::string> said;
};

}  // namespace detent::consumers
