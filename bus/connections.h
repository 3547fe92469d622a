// Who is connected to the ROUTER, since when unheard, and how much of what it sent lies unread with ZeroMQ. It bounds
// all three by cutting connections; whoever is honest connects again. ZeroMQ itself has no such limits: it accepts as
// long as there are descriptors, and holds whatever was announced.
//
// ZeroMQ's monitor tells of each connection's descriptor, the kernel how many bytes came by it (TCP_INFO), and the
// ROUTER how many of these were taken. A descriptor may be closed and used again by others at any moment, so a socket
// is known by its kernel cookie.
//
// For the ROUTER's thread alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace detent {

struct ConnectionLimits {
  size_t connections = 576;  // past it the one that was never heard for the longest, or else the most silent, goes
  Millis unheard{10'000};    // without one whole message
  Millis silent{60'000};     // since the last one: a session pings far more often
  uint64_t unread = 128ull << 20;  // bytes that lie with ZeroMQ, of all together; past it who has most goes
};

class Connections {
 public:
  explicit Connections(ConnectionLimits limits);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// What the monitor told, in its order.
  void accepted(int fd, Millis now);
  void ended(int fd);

  /// A frame of `peer` with a body of `bytes` was taken from the ROUTER. False where it is not known which connection
  /// is the peer's: `belongs`, and again.
  bool took(std::string_view peer, size_t bytes, Millis now);
  void belongs(std::string_view peer, int fd);

  /// Becomes readable when somebody sends who did not for a moment; `stirred` then.
  int descriptor() const { return epoll_; }
  void stirred(Millis now);
  /// Looks after the limits where that is due. `emptied`: all that had come was taken, so that what is left of the
  /// bytes is unfinished and who was not heard said nothing; else four times the limit may wait for us, and nobody is
  /// silent.
  void bound(Millis now, bool emptied);
  /// When `bound` is due.
  Millis deadline() const;

  size_t count() const { return all_.size() - cut_; }
  /// Connections cut by these limits.
  uint64_t cut() const { return cuts_; }

 private:
  struct Connection {
    uint64_t cookie = 0;
    uint64_t number = 0;        // in the order of their coming
    Millis since{0}, heard{0};  // heard: 0 until a whole message came
    uint64_t taken = 0;         // bytes on the wire
    uint64_t unread = 0;        // at the last look
    bool stirs = false;         // it sent since it was last quiet
    bool cut = false;
    std::string peer;
  };
  using All = std::unordered_map<int, Connection>;
  void cut(All::value_type& entry, const char* why);
  void make_room();
  void cut_silent(Millis now);
  void look(Millis now, uint64_t limit);

  const ConnectionLimits limits_;
  const int epoll_;
  All all_;  // by descriptor
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, Connection*, Hash, std::equal_to<>> peers_;
  Connection* last_ = nullptr;  // of `took`
  std::vector<int> stirring_;
  uint64_t numbers_ = 0;
  size_t cut_ = 0;  // of `all_`
  uint64_t cuts_ = 0, told_ = 0;
  const char* why_ = "";  // the last one
  Millis next_look_{0}, next_silent_{0}, next_telling_{0};
};

}  // namespace detent
