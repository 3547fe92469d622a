// An HTTP server on a thread of its own: the broker's door for curl and probes, and the sandbox's whole wire.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/headers.h"

namespace detent::http {

/// A request wholly read.
struct Incoming {
  std::string method;
  std::string target;  // as sent: path and query
  std::string path;    // percent-decoded
  Headers query;       // decoded, in order
  Headers headers;
  std::string body;
  bool loopback = false;  // the peer's address is a loopback one
  std::string reached;    // the address of ours that the peer connected to, without port

  /// The first value under that name, or "".
  std::string_view header(std::string_view name) const;
  /// The first query value under that name (exact case), or nullptr.
  const std::string* parameter(std::string_view name) const;
};

/// What to answer. Content-Length, Date and Connection are added.
struct Outgoing {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  Headers headers = {};
};

class Session;

/// The right to answer one request, once. Copyable; every function may be called from any thread, also after the client
/// or the server is gone (then nothing happens). If the last copy goes unused, the client gets a 500.
class Reply {
 public:
  Reply() = default;

  void send(Outgoing out) const;

  /// An answer in pieces: `begin` (its `body` is the first piece), any number of `write`, `end`. `write` is false once
  /// the client is gone or has 4 MiB waiting unread (it is dropped then).
  void begin(Outgoing head) const;
  bool write(std::string piece) const;
  void end() const;

  /// Closes the connection with a TCP reset and no answer.
  void reset() const;
  /// Never answers: the connection stays open until the client leaves or the server stops.
  void hold() const;

  /// `left` runs on the server's thread when the client goes before the answer is complete. Not called at the server's
  /// own end.
  void on_gone(std::function<void()> left) const;

  explicit operator bool() const { return bool(ticket_); }

 private:
  friend class Session;
  struct Ticket;
  std::shared_ptr<Ticket> ticket_;
};

struct ServerOptions {
  std::string listen = "127.0.0.1:0";  // address:port; port 0: any free one; IPv6 in brackets
  std::size_t max_body = 1 << 20;
  std::size_t max_header = 16 << 10;
  /// Bytes of all bodies together that are not wholly read, or whose request is not answered. Past it, the one that has
  /// been arriving for the longest is answered with 503. At least two of `max_body`.
  std::size_t max_bodies = 64 << 20;
  /// One more takes the place of the one that has sent no request for the longest, if that is a while; else it is
  /// answered with 503.
  std::size_t max_connections = 256;
  Millis idle{60'000};  // between requests, and for a request to arrive; an answer may take any time
};

/// Listens from its construction to its destruction. `serve` runs on the server's thread and must not block; it answers
/// at once or keeps the Reply. An exception it throws is logged and answered with 500. The destructor closes every
/// connection and joins the thread; it must not be called from `serve`.
class Server {
 public:
  using Serve = std::function<void(Incoming, Reply)>;

  /// Throws Failure where the address cannot be listened on.
  Server(ServerOptions options, Serve serve);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  /// "http://127.0.0.1:7480"
  std::string url() const;

  /// Runs `act` on the server's thread, at once or later. From any thread. What is still waiting at the end is dropped.
  void post(std::function<void()> act);
  void after(Millis delay, std::function<void()> act);

 private:
  std::shared_ptr<class ServerCore> core_;
};

}  // namespace detent::http
