// The client's end of a session with the broker: greeting, numbering, pings, and starting over when frames were lost. A
// plain state machine without sockets or clock; Connection gives it both, and so does the simulator.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "proto/frame.h"

namespace detent {

class Link {
 public:
  enum class Role { Producer = 0, Consumer = 1, Admin = 2, Worker = 3 };
  struct Options {
    std::string name;
    Role role = Role::Producer;
    std::vector<std::string> channels{};
    uint64_t instance = 0;  // random, one life of the process
  };

  struct Event {
    enum Kind {
      None,
      Opened,   // a session began: everything of the one before is forgotten on the broker's side
      Lost,     // the session is over (a new one is being asked for)
      Refused,  // the broker will not have us (wrong version, role); `text` says why. It is asked again, ever more
                // rarely.
      Frame,    // `field` and `body` (valid until the next call) of a frame that is the application's
    };
    Kind kind = None;
    uint32_t field = 0;
    std::string_view body{};
    std::string text{};
  };

  Link(Options options, uint64_t seed);

  bool is_open() const { return session_ != 0; }
  /// What the broker said no to last, for an error line; empty where it did not.
  const std::string& refusal() const { return refusal_; }

  /// Queues a frame in `outgoing`. Only while open.
  void send(uint32_t field, std::string_view body);
  /// The same without copying the body once more: seals a head for `size` bytes, to which the caller appends the body.
  std::string& begin(uint32_t field, size_t size);

  Event receive(std::string_view message, Now now);
  /// Pings, gives up on a silent broker, asks again. Returns Lost where the session just ended.
  Event tick(Now now);
  /// When `tick` next has something to do (monotonic).
  Millis deadline() const;

  /// Messages to send, oldest first; the owner takes them away.
  std::vector<std::string> outgoing;
  /// Takes the memory of a message that has left, to be filled again.
  void reuse(std::string message);

 private:
  void greet(Now now);
  Event lose(Now now);

  Options options_;
  std::mt19937_64 random_;
  uint64_t greeting_;
  uint64_t session_ = 0;
  uint64_t sent_ = 0, received_ = 0;
  uint32_t greetings_ = 0;
  Millis ping_every_{2000};
  Millis next_greeting_{0};
  Millis last_sent_{0}, last_heard_{0}, last_tick_{0};
  std::string refusal_;
  std::vector<std::string> spare_;  // empty ones
};

}  // namespace detent
