// The options that every socket of ours carries. Included by bus/*.cc alone.
#pragma once

#include <string>
#include <zmq.hpp>

#include "base/clock.h"
#include "proto/frame.h"

namespace detent {

/// A message over kMaxFrame is let through up to this, so that its sender can be told; ZeroMQ drops the connection of
/// one that sends more, without a word.
inline constexpr int64_t kMaxMessage = 2 * int64_t{kMaxFrame};

/// Limits and keep-alives. No ZMTP heartbeats: with back-pressure they abort libzmq 4.3.4 and lose accepted messages
/// (zeromq/libzmq#3937, #4767); the links ping by themselves.
inline void harden(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::maxmsgsize, kMaxMessage);
  socket.set(zmq::sockopt::handshake_ivl, 5000);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 30);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 10);
  socket.set(zmq::sockopt::tcp_maxrt, 30'000);
}

/// A DEALER's way to a server. Throws Failure where `endpoint` is none.
void connect_to(zmq::socket_t& dealer, const std::string& endpoint, Millis linger);

}  // namespace detent
