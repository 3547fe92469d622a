// HTTP requests as blocking calls: one owner thread, one kept connection per host, one deadline over everything.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/headers.h"

namespace detent::http {

/// Whether the server may have acted on a request that got no answer. `No` is proof: the name did not resolve, the
/// connection or the TLS session did not come about, or the connection broke before the first byte of the request left.
/// Everything later (a time-out, a reset, an answer that breaks off or is too long) is `Maybe`.
enum class Sent { No, Maybe };

/// Why there is no response. `error.code` is the errno where there was one (ETIMEDOUT past the deadline, ECANCELED
/// after `interrupt`), and 0 otherwise. A response with status 500 is a response, not a failure.
struct SendFailure {
  Error error;
  Sent sent = Sent::No;
  /// No request can be made of what was given (no URL, a header with a line break): to try again changes nothing. The
  /// error does not quote it: tokens stand in URLs and headers.
  bool malformed = false;
};

[[noreturn]] inline void throw_exception_from_error(const SendFailure& failure, const boost::source_location&) {
  throw Failure(failure.error.what);
}

/// `url` is absolute, http or https, percent-encoded. The client adds Host, Content-Length and Connection by itself and
/// follows no redirects.
struct Request {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  Millis deadline{15'000};  // for resolving, connecting, TLS, writing and reading together
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;

  /// The first value under that name in any case, or "".
  std::string_view header(std::string_view name) const;
};

using Answer = boost::system::result<Response, SendFailure>;

/// The seam: what sends requests for a delivery.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual Answer send(const Request& request) = 0;
};

/// Real sockets. `send` is called from one thread; `interrupt` from any. https is verified against the system's
/// certificates (or `ca_file`) and the host's name.
///
/// A kept connection that turns out to be closed before any byte was written on it is replaced by a fresh one, once. If
/// it breaks later than that, only GET and HEAD are repeated; anything else is for the caller to decide
/// (`Sent::Maybe`).
class KeepAliveClient : public HttpClient {
 public:
  struct Options {
    std::size_t max_body = 16 << 20;  // bytes of a response
    Millis max_idle{30'000};          // a connection unused for longer is not used again
    std::string ca_file;              // PEM; in place of the system's certificates
  };

  KeepAliveClient();
  explicit KeepAliveClient(Options options);
  ~KeepAliveClient() override;

  Answer send(const Request& request) override;

  /// Breaks off the request under way and refuses later ones: for a process that is told to stop.
  void interrupt();

 private:
  class Wire;
  std::unique_ptr<Wire> wire_;
};

}  // namespace detent::http
