// The publisher library: signals in from any thread, acknowledged once the broker has them on disk. One connection and
// one thread each; what is not acknowledged is sent again until it is.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "bus/publisher_core.h"

namespace detent {

class Publisher {
 public:
  struct Options {
    std::string endpoint = "tcp://127.0.0.1:7400";
    std::string name = "publisher";  // for people
    PublisherCore::Limits limits{};
  };

  /// What became of one signal. Durable where `reason` is 0; else refused for good (a Reason of proto/wire.proto),
  /// `text` saying why.
  struct Outcome {
    int reason = 0;
    std::string text;
    bool durable() const { return reason == 0; }
  };
  /// Called once, from the publisher's own thread; not where the publisher goes first.
  using Done = std::function<void(const Outcome&)>;

  struct Counts {
    uint64_t taken = 0, durable = 0, refused = 0;
    uint64_t waiting() const { return taken - durable - refused; }
  };

  /// Throws Failure where `endpoint` is none.
  explicit Publisher(Options options);
  /// What is not acknowledged by now is given up: `flush` first.
  ~Publisher();

  /// Takes in one encoded Signal (SignalBuilder makes them). An error where the memory for what waits is full: nothing
  /// was taken, and the caller decides whether to wait (`flush`, or `wait_for_room`) or to go without.
  Result<> publish(std::string_view signal, Done done = {});

  /// Publishes and waits until the signal is durable. An error where the broker refuses it, or says nothing by
  /// `deadline` (then the signal may yet be published later in this publisher's life).
  Result<> publish_and_wait(std::string_view signal, Millis deadline);

  /// Waits until everything taken in so far is settled; false where that is not so after `deadline`.
  bool flush(Millis deadline);
  /// Waits until at most `bytes` are held; false where more are after `deadline`.
  bool wait_for_room(size_t bytes, Millis deadline);

  Counts counts() const;
  /// Why nothing moves: "no broker answers at …", what it refused with, or empty where it is at work.
  std::string obstacle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace detent
