#include "bus/connection.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "base/result.h"
#include "base/seed.h"
#include "bus/sockets.h"

namespace detent {

namespace {

constexpr size_t kLentFrom = 8 * 1024;  // bytes of a message, from which on ZeroMQ sends it from where it lies

/// Messages that ZeroMQ has sent from our own memory, on their way back. It gives them back on a thread of its own.
class Returned {
 public:
  void put(std::string message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(messages_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
};

struct Loan {
  std::string message;
  Returned& to;
};

zmq::message_t lend(std::string message, Returned& to) {
  auto* loan = new Loan{std::move(message), to};
  const auto give_back = [](void*, void* hint) {
    const std::unique_ptr<Loan> back(static_cast<Loan*>(hint));
    back->to.put(std::move(back->message));
  };
  return {loan->message.data(), loan->message.size(), give_back, loan};
}

}  // namespace

void connect_to(zmq::socket_t& dealer, const std::string& endpoint, Millis linger) {
  harden(dealer);
  dealer.set(zmq::sockopt::sndhwm, 20'000);   // frames; what may be under way is bounded by whoever speaks
  dealer.set(zmq::sockopt::immediate, true);  // nothing is queued for a broker that is not there
  dealer.set(zmq::sockopt::linger, static_cast<int>(linger.count()));
  dealer.set(zmq::sockopt::reconnect_ivl, 100);
  dealer.set(zmq::sockopt::reconnect_ivl_max, 2000);
  try {
    dealer.connect(endpoint);
  } catch (const zmq::error_t& error) {
    throw Failure("cannot connect to " + endpoint + ": " + error.what());
  }
}

struct Connection::Sockets {
  Returned returned;  // outlives the context, which may hold loans to its end
  zmq::context_t context{1};
  zmq::socket_t dealer{context, zmq::socket_type::dealer};
  int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  ~Sockets() { close(wake_fd); }
};

uint64_t random_instance() { return random_seed(); }

Connection::Connection(const std::string& endpoint, Link::Options options, Millis linger)
    : link_(std::move(options), random_instance()), sockets_(std::make_unique<Sockets>()) {
  connect_to(sockets_->dealer, endpoint, linger);
}

Connection::~Connection() = default;

void Connection::wake() {
  const uint64_t one = 1;
  // A full counter means that a wake is pending already.
  [[maybe_unused]] const auto written = write(sockets_->wake_fd, &one, sizeof one);
}

void Connection::flush() {
  auto& outgoing = link_.outgoing;
  if (outgoing.empty()) return;
  auto& dealer = sockets_->dealer;
  for (auto& message : sockets_->returned.take()) link_.reuse(std::move(message));
  size_t sent = 0;
  for (; sent < outgoing.size(); ++sent) {
    std::string& message = outgoing[sent];
    if (message.size() >= kLentFrom) {
      if (!(dealer.get(zmq::sockopt::events) & ZMQ_POLLOUT)) break;
      dealer.send(lend(std::move(message), sockets_->returned), zmq::send_flags::dontwait);
    } else {
      if (!dealer.send(zmq::buffer(message), zmq::send_flags::dontwait)) break;
      link_.reuse(std::move(message));
    }
  }
  outgoing.erase(outgoing.begin(), outgoing.begin() + static_cast<ptrdiff_t>(sent));
}

void Connection::turn(Millis timeout, const std::function<void(const Link::Event&, Now)>& on_event) {
  Now now = system_now();
  if (auto event = link_.tick(now); event.kind != Link::Event::None) on_event(event, now);
  flush();
  const Millis until_link = std::max(link_.deadline() - now.mono, Millis{0});
  const Millis wait = std::min(timeout, until_link);
  zmq::pollitem_t items[] = {
      {sockets_->dealer.handle(), 0, static_cast<short>(ZMQ_POLLIN | (link_.outgoing.empty() ? 0 : ZMQ_POLLOUT)), 0},
      {nullptr, sockets_->wake_fd, ZMQ_POLLIN, 0}};
  // A greeting that cannot leave yet must not spin: POLLOUT comes when the connection stands.
  try {
    zmq::poll(items, 2, std::max(wait, Millis{link_.outgoing.empty() ? 0 : 1}));
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
  }
  if (items[1].revents) {
    uint64_t count = 0;
    [[maybe_unused]] const auto taken = read(sockets_->wake_fd, &count, sizeof count);
  }
  now = system_now();
  zmq::message_t message;
  for (int i = 0; i < 256 && sockets_->dealer.recv(message, zmq::recv_flags::dontwait); ++i) {
    const auto event = link_.receive(message.to_string_view(), now);
    if (event.kind != Link::Event::None) on_event(event, now);
  }
  flush();
}

}  // namespace detent
