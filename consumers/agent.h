// What serves one channel: its courier, and the thread that sends for it. A consumer's loop runs a list of agents and
// knows nothing of what they do: it hands each what arrives, asks when it next has something to do, and takes its
// frames to the broker.
//
// All on the loop's thread, but for `wake`, which the agent's own thread calls.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "consumers/channel.h"
#include "consumers/courier.h"
#include "consumers/sender.h"

namespace detent::consumers {

/// A channel to be served. `secret` may be shared between channels.
struct Served {
  std::string name;  // "discord.alerts"
  std::unique_ptr<Channel> channel;
  std::shared_ptr<Secret> secret;
};

class Agent {
 public:
  using Send = std::function<void(uint32_t field, std::string_view body)>;

  /// `wake` is called when an answer has come, so that the loop calls `turn`.
  Agent(Served served, std::function<void()> wake);

  const std::string& channel() const { return served_.name; }
  Secret& secret() { return *served_.secret; }

  /// A session with the broker began, or ended.
  void opened(Now now) { courier_.opened(now); }
  void lost() { courier_.lost(); }
  /// A frame of this channel.
  void received(uint32_t field, std::string_view body, Now now) { courier_.received(field, body, now); }
  void token_changed(Now now) { courier_.token_changed(now); }
  /// Takes in what the platform answered, and that time passed.
  void turn(Now now);
  /// Gives the broker its frames, the platform its request, and the log its lines.
  void hand_on(const Send& to_broker);

  /// Takes on nothing more; what is in flight is finished.
  void drain() { courier_.drain(); }
  /// Breaks off the request in flight.
  void interrupt() { sender_.interrupt(); }
  bool idle() const { return courier_.idle(); }
  /// When `turn` next has something to do by itself.
  Millis deadline() const { return courier_.deadline(); }

 private:
  struct Answered {
    uint64_t number;
    http::Answer answer;
  };

  Served served_;
  Courier courier_;
  std::mutex mutex_;
  std::vector<Answered> answers_;
  Sender sender_;  // last: its thread uses what is above
};

}  // namespace detent::consumers
