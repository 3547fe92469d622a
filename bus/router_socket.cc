#include "bus/router_socket.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "base/result.h"
#include "bus/sockets.h"

namespace detent {

namespace {
constexpr const char* kEvents = "inproc://connections";

constexpr Millis kUnread{200};  // without `receive`, after which it is us who do not read

Millis monotonic() { return system_now().mono; }
}  // namespace

struct RouterSocket::Sockets {
  zmq::context_t context{1};
  zmq::socket_t router{context, zmq::socket_type::router};
  zmq::socket_t events{context, zmq::socket_type::pair};      // what ZeroMQ tells of connections
  std::map<std::string, zmq::socket_t, std::less<>> servers;  // whose client we are, by the peer's name
  Connections connections;
  std::vector<zmq::pollitem_t> items;  // of a wait
  bool lost_someone = false;
  bool emptied = false;  // the last time that it was read
  Millis read_at{0};
  int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  explicit Sockets(ConnectionLimits limits) : connections(limits) {}

  void take_events() {
    zmq::message_t event, address;
    while (events.recv(event, zmq::recv_flags::dontwait)) {
      if (!event.more() || !events.recv(address, zmq::recv_flags::dontwait)) return;
      uint16_t what = 0;
      int32_t fd = -1;
      if (event.size() < sizeof what + sizeof fd) continue;
      std::memcpy(&what, event.data(), sizeof what);
      std::memcpy(&fd, event.data<char>() + sizeof what, sizeof fd);
      if (what == ZMQ_EVENT_ACCEPTED) connections.accepted(fd, monotonic());
      if (what == ZMQ_EVENT_DISCONNECTED) {
        connections.ended(fd);
        lost_someone = true;
      }
    }
  }

  void took(std::string_view peer, zmq::message_t& message) {
    if (connections.took(peer, message.size(), read_at)) return;
    take_events();  // its beginning is among them
    connections.belongs(peer, zmq_msg_get(message.handle(), ZMQ_SRCFD));
    connections.took(peer, message.size(), read_at);
  }

  bool take_wake() {
    uint64_t count = 0;
    return read(wake_fd, &count, sizeof count) == sizeof count;
  }
  ~Sockets() {
    zmq_socket_monitor(router.handle(), nullptr, 0);  // else ZeroMQ's thread may wait for a reader that is gone
    close(wake_fd);
  }
};

RouterSocket::RouterSocket(const std::string& endpoint, ConnectionLimits limits)
    : sockets_(std::make_unique<Sockets>(limits)) {
  auto& router = sockets_->router;
  harden(router);
  router.set(zmq::sockopt::router_mandatory, true);  // an unknown or full peer is told, never dropped in silence
  router.set(zmq::sockopt::linger, 1000);
  router.set(zmq::sockopt::backlog, 256);
  // Per peer, and only a second line: credit and the publishers' windows bound what is under way.
  router.set(zmq::sockopt::sndhwm, 4096);
  router.set(zmq::sockopt::rcvhwm, 1024);
  auto& events = sockets_->events;
  events.set(zmq::sockopt::rcvhwm, 0);  // ZeroMQ's thread never waits for us to read
  if (zmq_socket_monitor(router.handle(), kEvents, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED) != 0) {
    throw Failure(std::string("cannot watch connections: ") + zmq_strerror(zmq_errno()));
  }
  events.connect(kEvents);
  try {
    router.bind(endpoint);
  } catch (const zmq::error_t& error) {
    throw Failure("cannot listen on " + endpoint + ": " + error.what());
  }
}

RouterSocket::~RouterSocket() = default;

void RouterSocket::connect(const std::string& peer, const std::string& endpoint) {
  zmq::socket_t dealer(sockets_->context, zmq::socket_type::dealer);
  connect_to(dealer, endpoint, Millis{1000});
  sockets_->servers.emplace(peer, std::move(dealer));
}

std::string RouterSocket::endpoint() const { return sockets_->router.get(zmq::sockopt::last_endpoint); }

const Connections& RouterSocket::connections() const { return sockets_->connections; }

void RouterSocket::wait(Millis timeout, bool messages) {
  auto& connections = sockets_->connections;
  if (connections.deadline() != Millis::max()) timeout = std::min(timeout, connections.deadline() - monotonic());
  auto& items = sockets_->items;
  items = {{nullptr, sockets_->wake_fd, ZMQ_POLLIN, 0},
           {sockets_->events.handle(), 0, ZMQ_POLLIN, 0},
           {nullptr, connections.descriptor(), ZMQ_POLLIN, 0}};
  if (messages) {
    items.push_back({sockets_->router.handle(), 0, ZMQ_POLLIN, 0});
    for (auto& [name, server] : sockets_->servers) items.push_back({server.handle(), 0, ZMQ_POLLIN, 0});
  }
  try {
    zmq::poll(items, std::max(timeout, Millis{0}));
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
  }
  if (items[0].revents) sockets_->take_wake();
  if (items[1].revents) sockets_->take_events();
  const Millis now = monotonic();
  if (items[2].revents) connections.stirred(now);
  // Where it is read, `receive` knows better how much of it is unfinished.
  if (!messages || now - sockets_->read_at >= kUnread) connections.bound(now, false);
}

bool RouterSocket::wakes_within(std::chrono::microseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!sockets_->take_wake()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::yield();
  }
  return true;
}

bool RouterSocket::lost_someone() { return std::exchange(sockets_->lost_someone, false); }

size_t RouterSocket::receive(size_t count, size_t bytes,
                             const std::function<void(std::string_view, std::span<char>)>& take) {
  size_t got = 0;
  zmq::message_t peer, message;
  sockets_->read_at = monotonic();
  sockets_->emptied = false;
  for (size_t i = 0; i < count && got < bytes; ++i) {
    if (!sockets_->router.recv(peer, zmq::recv_flags::dontwait)) {
      sockets_->emptied = true;
      break;
    }
    if (!peer.more()) continue;  // cannot be: a ROUTER always puts the peer first
    if (!sockets_->router.recv(message, zmq::recv_flags::dontwait)) break;
    got += message.size();
    const bool more = message.more();
    sockets_->took(peer.to_string_view(), message);
    take(peer.to_string_view(), {message.data<char>(), more ? 0 : message.size()});  // a Frame is one ZeroMQ frame
    for (bool rest = more; rest; rest = message.more()) {
      if (!sockets_->router.recv(message, zmq::recv_flags::dontwait)) break;
      sockets_->took(peer.to_string_view(), message);
    }
  }
  sockets_->connections.bound(sockets_->read_at, sockets_->emptied);
  for (auto& [name, server] : sockets_->servers) {
    for (size_t i = 0; i < count && got < bytes && server.recv(message, zmq::recv_flags::dontwait); ++i) {
      got += message.size();
      take(name, {message.data<char>(), message.size()});
    }
  }
  return got;
}

RouterSocket::Sent RouterSocket::send(std::string_view peer, std::string_view message) {
  if (!sockets_->servers.empty()) {
    const auto server = sockets_->servers.find(peer);
    if (server != sockets_->servers.end())
      return server->second.send(zmq::buffer(message), zmq::send_flags::dontwait) ? Sent::Yes : Sent::Full;
  }
  try {
    if (!sockets_->router.send(zmq::buffer(peer), zmq::send_flags::sndmore | zmq::send_flags::dontwait))
      return Sent::Full;
    // The peer was taken, so its message is: a ROUTER refuses at the first part.
    return sockets_->router.send(zmq::buffer(message), zmq::send_flags::dontwait) ? Sent::Yes : Sent::Full;
  } catch (const zmq::error_t& error) {
    if (error.num() == EHOSTUNREACH) return Sent::Gone;
    throw;
  }
}

void RouterSocket::wake() {
  const uint64_t one = 1;
  // A full counter means that a wake is pending already.
  [[maybe_unused]] const auto written = write(sockets_->wake_fd, &one, sizeof one);
}

}  // namespace detent
