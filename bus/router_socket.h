// The broker's end of all links: one ZeroMQ ROUTER, owned by one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "bus/connections.h"
#include "bus/server_socket.h"

namespace detent {

/// Everything but `wake` is for the owner's thread alone.
class RouterSocket : public ServerSocket {
 public:
  /// Binds. Throws Failure where that cannot be done. A port of 0 or * takes a free one: see `endpoint`. Connections
  /// past `limits` are cut, in `wait` and `receive`.
  explicit RouterSocket(const std::string& endpoint, ConnectionLimits limits = {});
  ~RouterSocket() override;

  /// A server whose client this process is beside serving its own: what it sends comes as from this peer, and what is
  /// sent to the peer goes there, or is Full while there is no connection. Before the first wait. Throws Failure where
  /// the endpoint is none.
  void connect(const std::string& peer, const std::string& endpoint);

  const Connections& connections() const;
  /// The endpoint as bound.
  std::string endpoint() const;

  /// Waits until a message is there (where `messages` asks for that), `wake` was called, a connection ended, or
  /// `timeout` passed.
  void wait(Millis timeout, bool messages = true);
  /// Waits for `wake` alone and does not fall asleep over it: it looks again after every other thread that wants the
  /// processor. Whether it came; for what is due in a moment.
  bool wakes_within(std::chrono::microseconds patience);
  bool lost_someone() override;
  size_t receive(size_t count, size_t bytes,
                 const std::function<void(std::string_view peer, std::span<char> message)>& take) override;
  Sent send(std::string_view peer, std::string_view message) override;

  /// Ends a wait. Any thread.
  void wake();

 private:
  struct Sockets;
  std::unique_ptr<Sockets> sockets_;
};

}  // namespace detent
