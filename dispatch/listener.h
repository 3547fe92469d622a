// The dispatcher's ear at the broker: a link of its own that follows signals as they become durable, and says whose
// they are. What comes while it is not there is not heard. A plain state machine without sockets or clock. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bus/link.h"

namespace detent {

class Listener {
 public:
  /// The name under which the broker is a peer of the dispatcher's socket for this link.
  static constexpr std::string_view kPeer = "broker/listener";

  /// Heartbeats of everyone are heard, and every signal of `sources`.
  Listener(std::vector<std::string> sources, uint64_t instance, uint64_t seed);

  void receive(std::string_view message, Now now);
  void tick(Now now);
  Millis deadline() const { return link_.deadline(); }

  struct Heard {
    std::string source;
    std::optional<Millis> interval;  // at which it will be heard, as its heartbeat says
  };
  /// Since it was taken, oldest first.
  std::vector<Heard> heard;
  /// Whether what comes is heard at the moment.
  bool is_listening() const { return listening_; }
  /// Whether something was missed since it was asked last.
  bool missed() { return std::exchange(missed_, false); }

  template <class Send>
  void flush(const Send& send) {
    for (auto& message : link_.outgoing) {
      send(kPeer, message);
      link_.reuse(std::move(message));
    }
    link_.outgoing.clear();
  }

 private:
  void on(const Link::Event& event);

  const std::vector<std::string> sources_;
  Link link_;
  bool listening_ = false, missed_ = false;
};

}  // namespace detent
