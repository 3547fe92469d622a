#include "http/server.h"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/result.h"
#include "http/url.h"

namespace detent::http {

namespace net = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using net::ip::tcp;

namespace {
constexpr std::size_t kMaxUnread = 4 << 20;  // bytes of a streamed answer the client has not taken yet
}  // namespace

std::string_view Incoming::header(std::string_view name) const {
  const std::string* value = find_header(headers, name);
  return value ? std::string_view(*value) : std::string_view{};
}

const std::string* Incoming::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// The thread, the listening socket, and every open session; all but `stopping` belongs to the thread.
class ServerCore : public std::enable_shared_from_this<ServerCore> {
 public:
  ServerCore(ServerOptions options, Server::Serve serve);

  void run() {
    accept();
    thread = std::thread([this] { io.run(); });
  }
  void stop();
  void accept();
  void after(Millis delay, std::function<void()> act);

  const ServerOptions options;
  const Server::Serve serve;
  net::io_context io{1};
  tcp::acceptor acceptor{io};
  tcp::endpoint bound;
  std::atomic<bool> stopping{false};
  std::map<Session*, std::shared_ptr<Session>> sessions;
  std::list<net::steady_timer> timers;
  std::optional<net::steady_timer> pause;
  std::thread thread;
};

/// One connection. Everything runs on the server's thread.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<ServerCore> core, tcp::socket socket) : core_(std::move(core)), stream_(std::move(socket)) {}

  void read();
  void refuse(int status);
  void close();
  void reset();

  // What a Reply asks for; `number` says of which request.
  void answer(std::uint64_t number, Outgoing out, bool streamed);
  void piece(std::uint64_t number, std::string text);
  void finish(std::uint64_t number);
  void on_gone(std::uint64_t number, std::function<void()> left);
  void drop(std::uint64_t number);
  void hold(std::uint64_t number) {
    if (current(number)) held_ = true;
  }

  bool current(std::uint64_t number) const { return answering_ && number == number_; }
  ServerCore& core() { return *core_; }
  std::atomic<std::size_t> unread{0};
  std::atomic<bool> closed{false};

 private:
  using Parser = beast::http::request_parser<beast::http::string_body>;
  void read_body();
  void dispatch();
  void watch();
  void part();
  void drain();
  void put(std::string bytes);
  void write();

  std::shared_ptr<ServerCore> core_;
  beast::tcp_stream stream_;
  beast::flat_buffer ahead_;
  std::optional<Parser> parser_;
  std::deque<std::string> out_;
  std::function<void()> left_;
  std::uint64_t number_ = 0;
  bool answering_ = false;  // a request was handed over and its answer is not complete
  bool begun_ = false;
  bool chunked_ = false;
  bool keep_ = false;
  bool bodiless_ = false;
  bool http10_ = false;
  bool held_ = false;
  bool writing_ = false;
};

struct Reply::Ticket {
  Ticket(std::shared_ptr<Session> of, std::uint64_t count) : session(std::move(of)), number(count) {}
  ~Ticket() {
    if (!settled) ask([number = number](Session& at) { at.drop(number); });
  }
  /// Hands `act` to the server's thread, if that still runs.
  template <class Act>
  void ask(Act act) const {
    if (session->core().stopping || session->closed) return;
    net::post(session->core().io, [weak = std::weak_ptr(session), act = std::move(act)]() mutable {
      if (const auto alive = weak.lock(); alive && !alive->closed) act(*alive);
    });
  }
  const std::shared_ptr<Session> session;
  const std::uint64_t number;
  std::atomic<bool> used{false};     // an answer was begun
  std::atomic<bool> settled{false};  // nothing more is owed
};

void Reply::send(Outgoing out) const {
  if (!ticket_ || ticket_->used.exchange(true)) return;
  ticket_->settled = true;
  ticket_->ask([number = ticket_->number, out = std::move(out)](Session& at) mutable {
    at.answer(number, std::move(out), false);
  });
}

void Reply::begin(Outgoing head) const {
  if (!ticket_ || ticket_->used.exchange(true)) return;
  ticket_->ask([number = ticket_->number, head = std::move(head)](Session& at) mutable {
    at.answer(number, std::move(head), true);
  });
}

bool Reply::write(std::string piece) const {
  if (!ticket_ || ticket_->session->closed) return false;
  const bool room = ticket_->session->unread.fetch_add(piece.size()) + piece.size() <= kMaxUnread;
  if (room) {
    ticket_->ask([number = ticket_->number, piece = std::move(piece)](Session& at) mutable {
      at.piece(number, std::move(piece));
    });
  } else {
    ticket_->ask([](Session& at) { at.close(); });
  }
  return room;
}

void Reply::end() const {
  if (!ticket_ || !ticket_->used || ticket_->settled.exchange(true)) return;
  ticket_->ask([number = ticket_->number](Session& at) { at.finish(number); });
}

void Reply::reset() const {
  if (!ticket_) return;
  ticket_->used = ticket_->settled = true;
  ticket_->ask([number = ticket_->number](Session& at) {
    if (at.current(number)) at.reset();
  });
}

void Reply::hold() const {
  if (!ticket_ || ticket_->used.exchange(true)) return;
  ticket_->settled = true;
  ticket_->ask([number = ticket_->number](Session& at) { at.hold(number); });
}

void Reply::on_gone(std::function<void()> left) const {
  if (!ticket_ || ticket_->session->core().stopping) return;
  // The client may be gone already, so this is for a closed session too.
  net::post(ticket_->session->core().io,
            [weak = std::weak_ptr(ticket_->session), number = ticket_->number, left = std::move(left)]() mutable {
              if (const auto session = weak.lock()) {
                session->on_gone(number, std::move(left));
              } else {
                left();
              }
            });
}

ServerCore::ServerCore(ServerOptions with, Server::Serve by) : options(std::move(with)), serve(std::move(by)) {
  const std::size_t colon = options.listen.rfind(':');
  const auto refuse = [this](const std::string& why) {
    throw Failure("cannot listen on " + options.listen + ": " + why);
  };
  if (colon == std::string::npos) refuse("not of the form address:port");
  std::string host = options.listen.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string digits = options.listen.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos ||
      std::stoul(digits) > 65535) {
    refuse("the port is not a number from 0 to 65535");
  }
  error_code failed;
  const auto address = net::ip::make_address(host == "localhost" ? "127.0.0.1" : host, failed);
  if (failed) refuse("the address is not a numeric one");
  const tcp::endpoint endpoint(address, std::uint16_t(std::stoul(digits)));
  acceptor.open(endpoint.protocol(), failed);
  if (!failed) acceptor.set_option(net::socket_base::reuse_address(true), failed);
  if (!failed) acceptor.bind(endpoint, failed);
  if (!failed) acceptor.listen(net::socket_base::max_listen_connections, failed);
  if (!failed) bound = acceptor.local_endpoint(failed);
  if (failed) refuse(failed.message());
}

void ServerCore::accept() {
  acceptor.async_accept([this](error_code failed, tcp::socket socket) {
    if (stopping) return;
    if (failed) {
      // Out of descriptors, most likely: those waiting in the backlog stay there for a moment.
      spdlog::warn("http: accepting on {}: {}", options.listen, failed.message());
      pause.emplace(io, Millis(200));
      pause->async_wait([this](error_code) {
        if (!stopping) accept();
      });
      return;
    }
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto session = std::make_shared<Session>(shared_from_this(), std::move(socket));
    sessions[session.get()] = session;
    if (sessions.size() > options.max_connections) {
      session->refuse(503);
    } else {
      session->read();
    }
    accept();
  });
}

void ServerCore::after(Millis delay, std::function<void()> act) {
  timers.emplace_front(io, delay);
  const auto self = timers.begin();
  self->async_wait([this, self, act = std::move(act)](error_code failed) {
    if (stopping) return;
    timers.erase(self);
    if (!failed) act();
  });
}

void ServerCore::stop() {
  net::post(io, [this] {
    stopping = true;
    error_code ignored;
    acceptor.close(ignored);
    pause.reset();
    timers.clear();
    const auto all = std::move(sessions);
    sessions.clear();
    for (const auto& [raw, session] : all) session->close();
  });
  thread.join();
}

void Session::close() {
  if (closed.exchange(true)) return;
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  stream_.close();
  const auto left = std::move(left_);
  left_ = nullptr;
  const auto self = shared_from_this();
  core_->sessions.erase(this);
  if (answering_ && left && !core_->stopping) left();
}

void Session::reset() {
  error_code ignored;
  stream_.socket().set_option(net::socket_base::linger(true, 0), ignored);
  left_ = nullptr;
  closed = true;
  stream_.close();
  core_->sessions.erase(this);
}

void Session::read() {
  parser_.emplace();
  parser_->header_limit(std::uint32_t(core_->options.max_header));
  parser_->body_limit(core_->options.max_body);
  stream_.expires_after(core_->options.idle);
  beast::http::async_read_header(
      stream_, ahead_, *parser_, [self = shared_from_this()](error_code failed, std::size_t) {
        if (self->closed) return;
        if (!failed) return self->read_body();
        if (failed == beast::http::error::header_limit) return self->refuse(431);
        if (failed == beast::http::error::body_limit) return self->refuse(413);
        const bool ended = failed == beast::http::error::end_of_stream || failed == beast::http::error::partial_message;
        const bool malformed = failed.category() == make_error_code(beast::http::error::end_of_stream).category();
        malformed && !ended ? self->refuse(400) : self->close();
      });
}

void Session::read_body() {
  const auto more = [self = shared_from_this()](error_code failed, std::size_t) {
    if (self->closed) return;
    if (failed == beast::http::error::body_limit) return self->refuse(413);
    failed ? self->close() : self->dispatch();
  };
  if (!parser_->is_done() && same_name(parser_->get()[beast::http::field::expect], "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    net::async_write(stream_, net::buffer(kContinue),
                     [self = shared_from_this(), more](error_code failed, std::size_t) {
                       if (failed || self->closed) return self->close();
                       beast::http::async_read(self->stream_, self->ahead_, *self->parser_, more);
                     });
    return;
  }
  beast::http::async_read(stream_, ahead_, *parser_, more);
}

void Session::dispatch() {
  auto message = parser_->release();
  keep_ = message.keep_alive();
  http10_ = message.version() < 11;
  bodiless_ = message.method() == beast::http::verb::head;
  Incoming in{.method = message.method_string(), .target = message.target(), .body = std::move(message.body())};
  const std::size_t mark = in.target.find('?');
  in.path = percent_decode(std::string_view(in.target).substr(0, mark));
  if (mark != in.target.npos) in.query = parse_query(std::string_view(in.target).substr(mark + 1));
  for (const auto& field : message) in.headers.emplace_back(field.name_string(), field.value());
  error_code failed;
  in.loopback = stream_.socket().remote_endpoint(failed).address().is_loopback();

  ++number_;
  answering_ = true;
  begun_ = chunked_ = held_ = false;
  stream_.expires_never();
  Reply reply;
  reply.ticket_ = std::make_shared<Reply::Ticket>(shared_from_this(), number_);
  try {
    core_->serve(std::move(in), reply);
  } catch (const std::exception& thrown) {
    spdlog::warn("http: {} {}: {}", message.method_string(), message.target().substr(0, message.target().find('?')),
                 thrown.what());
    reply.send({.status = 500, .body = R"({"error":"internal"})"});
  }
  watch();
}

/// Notices that the client has gone while the answer is being waited for.
void Session::watch() {
  stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this(), number = number_](error_code failed) {
    if (failed || self->closed || !self->current(number)) return;
    char byte;
    const auto got = ::recv(self->stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return;  // the next request, early; it waits its turn
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return self->watch();
    self->close();
  });
}

void Session::drop(std::uint64_t number) {
  if (!current(number) || held_) return;
  if (begun_) return close();  // cut short, and seen to be
  answer(number, {.status = 500, .body = R"({"error":"the request was dropped"})"}, false);
}

void Session::on_gone(std::uint64_t number, std::function<void()> left) {
  if (!current(number)) return;
  if (closed) {
    if (!core_->stopping) left();
  } else {
    left_ = std::move(left);
  }
}

void Session::answer(std::uint64_t number, Outgoing out, bool streamed) {
  if (!current(number) || begun_) return;
  begun_ = true;
  chunked_ = streamed && !http10_;
  if (streamed && http10_) keep_ = false;
  const bool none = out.status == 204 || out.status == 304;
  const auto reason = beast::http::obsolete_reason(beast::http::int_to_status(unsigned(out.status)));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", out.status, std::string_view(reason.data(), reason.size()));
  if (!none && !out.content_type.empty()) head += "Content-Type: " + out.content_type + "\r\n";
  for (const auto& [name, value] : out.headers) {
    CHECK(value.find_first_of("\r\n") == value.npos, "a line break in an answer's header");
    head += name + ": " + value + "\r\n";
  }
  if (chunked_) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (!none && !streamed) {
    head += fmt::format("Content-Length: {}\r\n", out.body.size());
  }
  head += keep_ ? (http10_ ? "Connection: keep-alive\r\n\r\n" : "\r\n") : "Connection: close\r\n\r\n";
  if (!streamed) {
    if (!none && !bodiless_) head += out.body;
    put(std::move(head));
    finish(number);
  } else {
    put(std::move(head));
    unread += out.body.size();
    piece(number, std::move(out.body));
  }
}

void Session::piece(std::uint64_t number, std::string text) {
  unread -= text.size();
  if (!current(number) || text.empty() || bodiless_) return;
  put(chunked_ ? fmt::format("{:x}\r\n", text.size()) + text + "\r\n" : std::move(text));
}

void Session::finish(std::uint64_t number) {
  if (!current(number) || !begun_) return;
  if (chunked_ && !bodiless_) put("0\r\n\r\n");
  answering_ = false;
  left_ = nullptr;
  write();
}

void Session::refuse(int status) {
  ++number_;
  answering_ = true;
  begun_ = keep_ = bodiless_ = http10_ = false;
  const auto reason = beast::http::obsolete_reason(beast::http::int_to_status(unsigned(status)));
  answer(number_,
         {.status = status, .body = fmt::format(R"({{"error":"{}"}})", std::string_view(reason.data(), reason.size()))},
         false);
}

void Session::put(std::string bytes) {
  unread += bytes.size();
  out_.push_back(std::move(bytes));
  write();
}

void Session::write() {
  if (writing_ || closed) return;
  if (out_.empty()) {
    if (!answering_) keep_ ? read() : part();
    return;
  }
  writing_ = true;
  stream_.expires_after(core_->options.idle);
  net::async_write(stream_, net::buffer(out_.front()), [self = shared_from_this()](error_code failed, std::size_t) {
    self->writing_ = false;
    self->unread -= self->out_.front().size();
    self->out_.pop_front();
    if (failed) return self->close();
    self->write();
  });
}

/// Ends the connection so that the client still gets what was written: half-closed, and what it sends is read and
/// dropped.
void Session::part() {
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(Millis(2000));
  ahead_.clear();
  drain();
}

void Session::drain() {
  stream_.async_read_some(ahead_.prepare(16 << 10), [self = shared_from_this()](error_code failed, std::size_t) {
    if (self->closed) return;
    failed ? self->close() : self->drain();
  });
}

Server::Server(ServerOptions options, Serve serve)
    : core_(std::make_shared<ServerCore>(std::move(options), std::move(serve))) {
  core_->run();
}

Server::~Server() { core_->stop(); }

std::uint16_t Server::port() const { return core_->bound.port(); }

std::string Server::url() const {
  const auto address = core_->bound.address();
  return fmt::format("http://{}:{}", address.is_v6() ? "[" + address.to_string() + "]" : address.to_string(), port());
}

void Server::post(std::function<void()> act) {
  net::post(core_->io, [core = core_.get(), act = std::move(act)] {
    if (!core->stopping) act();
  });
}

void Server::after(Millis delay, std::function<void()> act) {
  post([core = core_.get(), delay, act = std::move(act)]() mutable { core->after(delay, std::move(act)); });
}

}  // namespace detent::http
