#include "bus/router_socket.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <zmq.hpp>

#include "base/result.h"
#include "bus/sockets.h"

namespace detent {

namespace {
constexpr const char* kEnded = "inproc://ended";
}  // namespace

struct RouterSocket::Sockets {
  zmq::context_t context{1};
  zmq::socket_t router{context, zmq::socket_type::router};
  zmq::socket_t ended{context, zmq::socket_type::pair};  // what ZeroMQ tells of connections that ended
  bool lost_someone = false;
  int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  bool take_wake() {
    uint64_t count = 0;
    return read(wake_fd, &count, sizeof count) == sizeof count;
  }
  ~Sockets() {
    zmq_socket_monitor(router.handle(), nullptr, 0);  // else ZeroMQ's thread may wait for a reader that is gone
    close(wake_fd);
  }
};

RouterSocket::RouterSocket(const std::string& endpoint) : sockets_(std::make_unique<Sockets>()) {
  auto& router = sockets_->router;
  harden(router);
  router.set(zmq::sockopt::router_mandatory, true);  // an unknown or full peer is told, never dropped in silence
  router.set(zmq::sockopt::linger, 1000);
  router.set(zmq::sockopt::backlog, 256);
  // Per peer, and only a second line: credit and the publishers' windows bound what is under way.
  router.set(zmq::sockopt::sndhwm, 4096);
  router.set(zmq::sockopt::rcvhwm, 1024);
  auto& ended = sockets_->ended;
  ended.set(zmq::sockopt::rcvhwm, 0);  // ZeroMQ's thread never waits for us to read
  if (zmq_socket_monitor(router.handle(), kEnded, ZMQ_EVENT_DISCONNECTED) != 0) {
    throw Failure(std::string("cannot watch connections: ") + zmq_strerror(zmq_errno()));
  }
  ended.connect(kEnded);
  try {
    router.bind(endpoint);
  } catch (const zmq::error_t& error) {
    throw Failure("cannot listen on " + endpoint + ": " + error.what());
  }
}

RouterSocket::~RouterSocket() = default;

std::string RouterSocket::endpoint() const { return sockets_->router.get(zmq::sockopt::last_endpoint); }

void RouterSocket::wait(Millis timeout, bool messages) {
  zmq::pollitem_t items[] = {{nullptr, sockets_->wake_fd, ZMQ_POLLIN, 0},
                             {sockets_->ended.handle(), 0, ZMQ_POLLIN, 0},
                             {sockets_->router.handle(), 0, ZMQ_POLLIN, 0}};
  try {
    zmq::poll(items, messages ? 3 : 2, std::max(timeout, Millis{0}));
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
  }
  if (items[0].revents) sockets_->take_wake();
  zmq::message_t event;  // in two parts, of which neither says more than that it came
  while (items[1].revents && sockets_->ended.recv(event, zmq::recv_flags::dontwait)) sockets_->lost_someone = true;
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
  for (size_t i = 0; i < count && got < bytes; ++i) {
    if (!sockets_->router.recv(peer, zmq::recv_flags::dontwait)) break;
    if (!peer.more()) continue;  // cannot be: a ROUTER always puts the peer first
    if (!sockets_->router.recv(message, zmq::recv_flags::dontwait)) break;
    got += message.size();
    const bool more = message.more();
    take(peer.to_string_view(), {message.data<char>(), more ? 0 : message.size()});  // a Frame is one ZeroMQ frame
    for (bool rest = more; rest; rest = message.more()) {
      if (!sockets_->router.recv(message, zmq::recv_flags::dontwait)) break;
    }
  }
  return got;
}

RouterSocket::Sent RouterSocket::send(std::string_view peer, std::string_view message) {
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
