// Hands the deliveries of one channel to its platform, one request at a time, and tells the broker what became of each.
// Here and nowhere else it is decided whether to try again. A plain state machine: frames, answers and the time go in;
// frames and requests come out. The simulator runs it as it is.
//
// One thread. The owner takes `frames`, `request` and `said` away after each call.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "consumers/channel.h"
#include "consumers/credit.h"
#include "consumers/done_parts.h"
#include "consumers/outage.h"
#include "consumers/reports.h"

namespace detent::consumers {

class Courier {
 public:
  struct Options {
    std::string channel;
    /// What the broker may have in flight to us.
    uint32_t credit = 32;
    uint64_t credit_bytes = 32ULL << 20;
  };
  using Frame = Report;
  struct Sending {
    uint64_t number = 0;  // to be named with its answer
    http::Request request;
  };

  Courier(Options options, Channel& channel);
  ~Courier();

  /// A session with the broker began: everything of the one before is forgotten, but not what is in flight to the
  /// platform.
  void opened(Now now);
  void lost();
  /// A frame of this channel: Deliver, BegunDurable or Stale.
  void received(uint32_t field, std::string_view body, Now now);
  void answered(uint64_t number, const http::Answer& answer, Now now);
  /// The channel's token is another than before.
  void token_changed(Now now);
  /// Time passed.
  void tick(Now now);
  /// Takes on nothing more; what is in flight is finished.
  void drain();

  /// When `tick` next has something to do (monotonic); far away where nothing waits.
  Millis deadline() const;
  /// Nothing is in flight.
  bool idle() const { return !active_ && !flight_; }
  bool circuit_open() const { return circuit_open_; }

  std::vector<Frame> frames;
  std::optional<Sending> request;
  std::vector<std::string> said;

 private:
  struct Held;
  struct Flight;

  void advance(Now now);
  void pick(Now now);
  void begin(Held& held, Now now);
  bool expired(const Held& held, Now now) const;
  void act(Held& held, const Verdict& verdict, const Step& step, Now now);
  void say(const std::string& text);
  void settle(std::unique_ptr<Held> held, int outcome, const std::string& cause, Millis delay);
  void open_circuit(const std::string& why);
  void send_credit();
  void remember(const Held& held);
  std::unique_ptr<Held> take_active();

  Options options_;
  Channel& channel_;
  bool open_ = false, draining_ = false;
  bool circuit_open_ = false;
  std::string circuit_why_;
  Outage outage_;
  uint64_t requests_ = 0;
  CreditAccount credit_;
  std::deque<std::unique_ptr<Held>> waiting_;  // in the order they came
  std::unique_ptr<Held> active_;
  std::unique_ptr<Flight> flight_;
  DoneParts done_;
};

}  // namespace detent::consumers
