// The server's end of the sessions with its peers, the counterpart of Link: greeting, numbering, pings, and turning
// away who breaks the rules. A plain state machine without sockets or clock. What a session is for is its owner's to
// know, and so is who may open one and what may be said in it (Rules). One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "proto/frame.h"

namespace detent {

/// One session, for as long as it lasts.
struct Session {
  uint64_t id = 0;
  std::string peer;
  std::string name;
  int role = 0;  // a Hello::Role
  std::vector<std::string> channels;
  uint64_t instance = 0;
  uint64_t greeting = 0;  // of the HELLO that it answered
  uint64_t sent = 0, received = 0;
  Millis last_heard{0}, last_ping{0};
  uint32_t unanswered_pings = 0;
  bool leaving = false;  // it said BYE
};

class Sessions {
 public:
  struct Options {
    std::string server;  // name and version, for people
    Millis ping_every{2000};
    size_t max_sessions = 1024;
  };

  /// Why a session is not opened: a Reason of wire.proto; 0: it is.
  struct Refusal {
    int reason = 0;
    std::string text{};
  };

  struct Rules {
    /// Whether a session of this role may send this kind of frame.
    std::function<bool(int role, uint32_t field)> may_send;
    std::function<Refusal(int role, const std::vector<std::string>& channels)> may_open;
    /// What is wrong with a frame's body by the limits of wire.proto.
    std::function<std::optional<std::string>(uint32_t field, std::string_view body)> check;
    /// Takes a frame that is to be sent, in order.
    std::function<void(const std::string& peer, std::string frame)> send;
    std::function<void(const Session& session)> opened;
    /// It is over. Called from within whatever ended it.
    std::function<void(const Session& session, Now now)> ended;
  };

  Sessions(Options options, Rules rules, uint64_t seed);

  /// A frame that is the owner's to answer; BYE as well, by `finish`.
  struct Received {
    Session& session;  // until it ends
    uint32_t field = 0;
    std::string_view body;  // a part of the message
  };
  std::optional<Received> receive(std::string_view peer, std::span<char> message, Now now);
  /// The transport says that the peer cannot be reached any more.
  void gone(std::string_view peer, Now now);
  /// Pings, and ends the sessions of which nothing was heard. To be called several times in each `ping_every`, while
  /// frames are taken in: where it is not, the sessions are not to blame.
  void tick(Now now);
  /// No further sessions: the server is about to stop.
  void drain() { draining_ = true; }

  /// Sends a frame to a session where it still is.
  void send(uint64_t session, uint32_t field, std::string_view body);
  /// Asks for a PONG, behind what was sent so far.
  void ping(uint64_t session);

  /// Ends a session that broke the rules, with the reason; a peer that goes on so is not listened to any more.
  void malformed(const Session& session, std::string_view text, Now now);
  void not_allowed(const Session& session, std::string_view text, Now now);
  /// Answers a BYE.
  void finish(uint64_t session, Now now);

  /// Null where it is over.
  Session* find(uint64_t id);
  const Session* find(uint64_t id) const;
  const std::unordered_map<uint64_t, std::unique_ptr<Session>>& all() const { return sessions_; }
  /// The same, oldest first.
  std::vector<const Session*> list() const;
  /// 0 where the session is over.
  uint32_t unanswered_pings(uint64_t session) const;

  struct Counters {
    uint64_t refused = 0;  // sessions that were not opened
    uint64_t malformed = 0, not_allowed = 0, too_large = 0, gaps = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  void greet(std::string_view peer, std::string_view body, Now now);
  void end(uint64_t id, int reason, std::string_view text, Now now);
  void refuse(std::string_view peer, uint64_t session, int reason, std::string_view text);
  void turn_away(std::string_view peer, const Session* session, int reason, std::string_view text, Now now);
  Session* of_peer(std::string_view peer);

  const Options options_;
  const Rules rules_;
  uint64_t next_id_;
  Millis last_tick_{0};
  bool draining_ = false;
  std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions_;
  std::map<std::string, uint64_t, std::less<>> by_peer_;
  std::map<std::string, uint32_t, std::less<>> strikes_;  // frames refused, by peer
  Counters counters_;
};

}  // namespace detent
