#include "http/client.h"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cerrno>
#include <map>
#include <optional>
#include <thread>

namespace detent::http {

namespace net = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using net::ip::tcp;
using Moment = std::chrono::steady_clock::time_point;

std::string_view Response::header(std::string_view name) const {
  const std::string* value = find_header(headers, name);
  return value ? std::string_view(*value) : std::string_view{};
}

namespace {

constexpr std::size_t kMaxKept = 16;  // hosts with a kept connection

/// Where a request goes: its connection's key, and what Host and the request line say.
struct Place {
  bool secure = false;
  std::string host;  // without brackets
  std::string port;
  std::string authority;
  std::string target;

  std::string key() const { return (secure ? "https://" : "http://") + host + ":" + port; }
};

Result<Place> parse_place(const std::string& url) {
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed) return Error{"not a URL"};
  const boost::urls::url_view& view = *parsed;
  Place place;
  const std::string scheme = view.scheme();
  if (same_name(scheme, "https")) {
    place.secure = true;
  } else if (!same_name(scheme, "http")) {
    return Error{"a URL of neither http nor https"};
  }
  place.host = view.host_address();
  if (place.host.empty()) return Error{"a URL without a host"};
  if (!view.port().empty() && view.port_number() == 0) return Error{"a URL with a port that is none"};
  place.port = !view.port().empty() ? std::string(view.port()) : place.secure ? "443" : "80";
  place.authority = view.encoded_host();
  if (view.has_port()) place.authority += ":" + place.port;
  place.target = view.encoded_target();
  if (place.target.empty() || place.target.front() != '/') place.target.insert(0, "/");
  return place;
}

bool clean_header(std::string_view name, std::string_view value) {
  return !name.empty() && name.find_first_of("\r\n: ") == name.npos &&
         value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos;
}

/// An open connection and what of it was read ahead.
struct Connection {
  std::optional<beast::tcp_stream> plain;
  std::optional<beast::ssl_stream<beast::tcp_stream>> secure;
  beast::flat_buffer ahead;
  Moment last_used;

  beast::tcp_stream& tcp() { return secure ? secure->next_layer() : *plain; }
};

}  // namespace

class KeepAliveClient::Wire {
 public:
  explicit Wire(Options options) : options_(std::move(options)) {
    if (options_.ca_file.empty()) return;
    if (const error_code failed = prepare_tls()) {
      throw Failure("TLS certificates in " + options_.ca_file + ": " + failed.message());
    }
  }

  Answer send(const Request& request) {
    const auto place = parse_place(request.url);
    if (!place) return SendFailure{.error = place.error(), .malformed = true};
    for (const auto& [name, value] : request.headers) {
      if (clean_header(name, value)) continue;
      return SendFailure{.error = {"a header with a line break or no name: " + name}, .malformed = true};
    }
    deadline_ = std::chrono::steady_clock::now() + request.deadline;
    what_ = request.method + " " + place->key();

    if (auto kept = take_kept(place->key())) {
      auto answer = exchange(*place, request, std::move(kept));
      if (answer) return answer;
      const bool repeatable = answer.error().sent == Sent::No || request.method == "GET" || request.method == "HEAD";
      const bool in_time = std::chrono::steady_clock::now() < deadline_ && !interrupted_;
      if (!repeatable || !in_time || !broke_off_) return answer;
    }
    auto fresh = connect(*place);
    if (!fresh) return fresh.error();
    return exchange(*place, request, std::move(*fresh));
  }

  void interrupt() {
    interrupted_ = true;
    net::post(*io_, [this] {
      if (open_) open_->tcp().cancel();
      if (waiting_) waiting_->cancel();
    });
  }

 private:
  using ConnectionPtr = std::unique_ptr<Connection>;

  /// Starts one operation and runs the context until it is over. `start` is given the completion to call.
  template <class Start>
  error_code finish(Start start) {
    if (interrupted_) return net::error::operation_aborted;
    std::optional<error_code> result;
    start([&result](error_code failed, auto&&...) { result = failed; });
    while (!result) io_->run_one();
    return *result;
  }

  /// Reading the system's certificates takes tens of milliseconds, so that is left to the first https request.
  error_code prepare_tls() {
    if (tls_) return {};
    net::ssl::context fresh(net::ssl::context::tls_client);
    fresh.set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                      net::ssl::context::no_tlsv1_1);
    fresh.set_verify_mode(net::ssl::verify_peer);
    error_code failed;
    if (options_.ca_file.empty()) {
      fresh.set_default_verify_paths(failed);
    } else {
      fresh.load_verify_file(options_.ca_file, failed);
    }
    if (!failed) tls_.emplace(std::move(fresh));
    return failed;
  }

  SendFailure failure(const char* step, error_code failed, Sent sent) {
    int code = failed.category() == boost::system::system_category() ? failed.value() : 0;
    std::string why = failed.message();
    if (interrupted_) {
      code = ECANCELED;
      why = "interrupted";
    } else if (failed == beast::error::timeout) {
      code = ETIMEDOUT;
      why = "no end within the deadline";
    }
    return {{what_ + ": " + step + ": " + why, code}, sent};
  }

  ConnectionPtr take_kept(const std::string& key) {
    auto found = kept_.find(key);
    if (found == kept_.end()) return nullptr;
    ConnectionPtr kept = std::move(found->second);
    kept_.erase(found);
    if (std::chrono::steady_clock::now() - kept->last_used > options_.max_idle) return nullptr;
    // Between requests the server has nothing to say: what is readable is its end of the connection.
    char byte;
    const auto got = ::recv(kept->tcp().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool silent = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return silent && kept->ahead.size() == 0 ? std::move(kept) : nullptr;
  }

  /// getaddrinfo cannot be cut short, so it runs on a thread that may outlive this call and shares only its outcome.
  boost::system::result<std::vector<tcp::endpoint>, SendFailure> resolve(const Place& place) {
    error_code failed;
    const auto literal = net::ip::make_address(place.host, failed);
    if (!failed) return std::vector{tcp::endpoint(literal, std::uint16_t(std::stoul(place.port)))};

    struct Outcome {
      error_code failed;
      std::vector<tcp::endpoint> endpoints;
      bool done = false;
    };
    auto outcome = std::make_shared<Outcome>();
    waiting_.emplace(*io_, deadline_);
    std::thread([io = io_, outcome, host = place.host, port = place.port] {
      auto found = std::make_shared<Outcome>();
      net::io_context own;
      tcp::resolver resolver(own);
      for (const auto& entry : resolver.resolve(host, port, tcp::resolver::numeric_service, found->failed)) {
        found->endpoints.push_back(entry.endpoint());
      }
      // RFC 6761, 6.3: it is loopback, also where neither a hosts file nor a resolver says so.
      if (found->failed && host == "localhost") {
        found->failed = {};
        found->endpoints = {{net::ip::address_v4::loopback(), std::uint16_t(std::stoul(port))}};
      }
      net::post(*io, [outcome, found] {
        *outcome = std::move(*found);
        outcome->done = true;
      });
    }).detach();
    bool over = false;
    waiting_->async_wait([&over](error_code) { over = true; });
    while (!over && !outcome->done && !interrupted_) io_->run_one();
    waiting_->cancel();
    while (!over) io_->run_one();
    waiting_.reset();
    if (!outcome->done) return failure("resolving", beast::error::timeout, Sent::No);
    if (outcome->failed) return failure("resolving", outcome->failed, Sent::No);
    return std::move(outcome->endpoints);
  }

  boost::system::result<ConnectionPtr, SendFailure> connect(const Place& place) {
    if (interrupted_) return failure("connecting", net::error::operation_aborted, Sent::No);
    if (place.secure) {
      if (const error_code failed = prepare_tls()) return failure("TLS certificates", failed, Sent::No);
    }
    auto endpoints = resolve(place);
    if (!endpoints) return endpoints.error();
    auto connection = std::make_unique<Connection>();
    if (place.secure) {
      connection->secure.emplace(*io_, *tls_);
    } else {
      connection->plain.emplace(*io_);
    }
    open_ = connection.get();
    connection->tcp().expires_at(deadline_);
    error_code failed = finish([&](auto done) { connection->tcp().async_connect(*endpoints, done); });
    if (!failed) connection->tcp().socket().set_option(tcp::no_delay(true), failed);
    if (!failed && place.secure) {
      auto& secure = *connection->secure;
      error_code literal;
      net::ip::make_address(place.host, literal);
      if (literal) SSL_set_tlsext_host_name(secure.native_handle(), place.host.c_str());
      secure.set_verify_callback(net::ssl::host_name_verification(place.host));
      failed = finish([&](auto done) { secure.async_handshake(net::ssl::stream_base::client, done); });
      if (failed) {
        open_ = nullptr;
        return failure("TLS", failed, Sent::No);
      }
    }
    open_ = nullptr;
    if (failed) return failure("connecting", failed, Sent::No);
    return connection;
  }

  Answer exchange(const Place& place, const Request& request, ConnectionPtr connection) {
    broke_off_ = false;
    open_ = connection.get();
    connection->tcp().expires_at(deadline_);
    Answer answer = connection->secure ? converse(*connection->secure, *connection, place, request)
                                       : converse(*connection->plain, *connection, place, request);
    open_ = nullptr;
    if (answer && keep_) {
      connection->tcp().expires_never();
      connection->last_used = std::chrono::steady_clock::now();
      if (kept_.size() >= kMaxKept) kept_.clear();
      kept_[place.key()] = std::move(connection);
    }
    return answer;
  }

  template <class Stream>
  Answer converse(Stream& stream, Connection& connection, const Place& place, const Request& request) {
    beast::http::request<beast::http::string_body> message;
    message.method_string(request.method);
    message.target(place.target);
    message.version(11);
    for (const auto& [name, value] : request.headers) message.insert(name, value);
    message.set(beast::http::field::host, place.authority);
    message.body() = request.body;
    if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD" && request.method != "DELETE")) {
      message.content_length(request.body.size());
    }

    std::size_t written = 0;
    error_code failed = finish([&](auto done) {
      beast::http::async_write(stream, message, [&written, done](error_code ec, std::size_t bytes) mutable {
        written = bytes;
        done(ec);
      });
    });
    if (failed) {
      broke_off_ = failed != beast::error::timeout;
      // What TLS has put on the wire is not known once it fails.
      const bool surely_not = written == 0 && std::is_same_v<Stream, beast::tcp_stream> && broke_off_;
      return failure("sending", failed, surely_not ? Sent::No : Sent::Maybe);
    }

    while (true) {
      beast::http::response_parser<beast::http::string_body> parser;
      parser.body_limit(options_.max_body);
      if (request.method == "HEAD") parser.skip(true);
      failed = finish([&](auto done) { beast::http::async_read(stream, connection.ahead, parser, done); });
      if (failed) {
        broke_off_ = failed != beast::error::timeout && !parser.got_some();
        if (failed == beast::http::error::end_of_stream) return failure("reading", net::error::eof, Sent::Maybe);
        return failure("reading", failed, Sent::Maybe);
      }
      if (parser.get().result_int() / 100 == 1) continue;
      keep_ = parser.keep_alive();
      auto got = parser.release();
      Response response{.status = int(got.result_int()), .headers = {}, .body = std::move(got.body())};
      for (const auto& field : got) response.headers.emplace_back(field.name_string(), field.value());
      return response;
    }
  }

  const Options options_;
  std::shared_ptr<net::io_context> io_ = std::make_shared<net::io_context>(1);
  net::executor_work_guard<net::io_context::executor_type> guard_ = net::make_work_guard(*io_);
  std::optional<net::ssl::context> tls_;
  std::map<std::string, ConnectionPtr> kept_;
  std::atomic<bool> interrupted_{false};

  // The request under way.
  Moment deadline_;
  std::string what_;
  Connection* open_ = nullptr;
  std::optional<net::steady_timer> waiting_;
  bool keep_ = false;
  bool broke_off_ = false;  // the connection ended, rather than the deadline, before anything was answered
};

KeepAliveClient::KeepAliveClient() : KeepAliveClient(Options{}) {}
KeepAliveClient::KeepAliveClient(Options options) : wire_(std::make_unique<Wire>(std::move(options))) {}
KeepAliveClient::~KeepAliveClient() = default;
Answer KeepAliveClient::send(const Request& request) { return wire_->send(request); }
void KeepAliveClient::interrupt() { wire_->interrupt(); }

}  // namespace detent::http
