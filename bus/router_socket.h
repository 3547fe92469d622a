// The broker's end of all links: one ZeroMQ ROUTER, owned by one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace detent {

/// Everything but `wake` is for the owner's thread alone.
class RouterSocket {
 public:
  /// Binds. Throws Failure where that cannot be done. A port of 0 or * takes a free one: see `endpoint`.
  explicit RouterSocket(const std::string& endpoint);
  ~RouterSocket();

  /// The endpoint as bound.
  std::string endpoint() const;

  /// Waits until a message is there (where `messages` asks for that), `wake` was called, a connection ended, or
  /// `timeout` passed.
  void wait(Millis timeout, bool messages = true);
  /// Waits for `wake` alone and does not fall asleep over it: it looks again after every other thread that wants the
  /// processor. Whether it came; for what is due in a moment.
  bool wakes_within(std::chrono::microseconds patience);
  /// Whether a connection ended since the last call. ZeroMQ does not say whose: that is `Gone` when something is sent
  /// to it, if not at once, then a moment later.
  bool lost_someone();
  /// Hands over messages that are there, until `bytes` of them or `count` are taken; returns the bytes.
  size_t receive(size_t count, size_t bytes,
                 const std::function<void(std::string_view peer, std::span<char> message)>&);

  enum class Sent { Yes, Full, Gone };
  /// Never blocks. Gone: no such peer any more. Full: it does not read.
  Sent send(std::string_view peer, std::string_view message);

  /// Ends a wait. Any thread.
  void wake();

 private:
  struct Sockets;
  std::unique_ptr<Sockets> sockets_;
};

}  // namespace detent
