// The inside of the server: its thread with the listening socket, and its connections. For http/ alone, since it needs
// Beast.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <thread>

#include "http/server.h"

namespace detent::http {

namespace net = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using net::ip::tcp;

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
  /// A body grew or went: `bodies` has changed.
  void bound_bodies();
  /// Closes the connection that has sent no request for the longest. False where none has for a while.
  bool close_a_silent_one();

  const ServerOptions options;
  const Server::Serve serve;
  net::io_context io{1};
  tcp::acceptor acceptor{io};
  tcp::endpoint bound;
  std::atomic<bool> stopping{false};
  std::map<Session*, std::shared_ptr<Session>> sessions;
  std::size_t bodies = 0;  // bytes that the sessions hold
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

  using Clock = std::chrono::steady_clock;
  bool reads_body() const { return reads_body_ && !evicted_; }
  bool silent() const { return !answering_ && !reads_body_ && !writing_; }
  /// Since when it waits for a request, or its body.
  Clock::time_point since() const { return since_; }
  void evict();

  bool current(std::uint64_t number) const { return answering_ && number == number_; }
  ServerCore& core() { return *core_; }
  std::atomic<std::size_t> unread{0};
  std::atomic<bool> closed{false};

 private:
  using Parser = beast::http::request_parser<beast::http::string_body>;
  void begin_body();
  void read_body();
  void hold_body(std::size_t bytes);
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
  Clock::time_point since_ = Clock::now();
  std::size_t body_ = 0;  // bytes, of the core's `bodies`
  bool reads_body_ = false;
  bool evicted_ = false;
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
    boost::asio::post(session->core().io, [weak = std::weak_ptr(session), act = std::move(act)]() mutable {
      if (const auto alive = weak.lock(); alive && !alive->closed) act(*alive);
    });
  }
  const std::shared_ptr<Session> session;
  const std::uint64_t number;
  std::atomic<bool> used{false};     // an answer was begun
  std::atomic<bool> settled{false};  // nothing more is owed
};

}  // namespace detent::http
