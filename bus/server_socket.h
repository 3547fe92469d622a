// The server's end of all its links, as whoever runs a server uses it: a ROUTER in production, a simulated network in
// the tests. One thread.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

namespace detent {

class ServerSocket {
 public:
  virtual ~ServerSocket() = default;

  /// Hands over messages that are there, until `bytes` of them or `count` are taken; returns the bytes.
  virtual size_t receive(size_t count, size_t bytes,
                         const std::function<void(std::string_view peer, std::span<char> message)>& take) = 0;

  enum class Sent { Yes, Full, Gone };
  /// Never blocks. Gone: no such peer any more. Full: it does not read.
  virtual Sent send(std::string_view peer, std::string_view message) = 0;

  /// Whether a connection ended since the last call. ZeroMQ does not say whose: that is `Gone` when something is sent
  /// to it, if not at once, then a moment later.
  virtual bool lost_someone() = 0;
};

}  // namespace detent
