// What ZeroMQ alone gives on this machine. The only file beside bus/ that touches it: it measures what bus/ stands on.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.hpp>

#include "base/result.h"
#include "bench/figures.h"
#include "bench/measurements.h"
#include "bench/signals.h"

namespace detent::bench {

namespace {

constexpr uint64_t kAckEvery = 256;
constexpr uint64_t kWindow = 8192;

/// A ROUTER in a process of its own, which acknowledges every `every` messages. Ends when it got an empty one.
class FarRouter {
 public:
  explicit FarRouter(uint64_t every) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) throw Failure("no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      try {
        serve(every, pipe_ends[1]);
      } catch (const std::exception&) {
        _exit(1);
      }
      _exit(0);
    }
    close(pipe_ends[1]);
    char name[128] = {};
    if (pid_ < 0 || read(pipe_ends[0], name, sizeof name - 1) <= 0) throw Failure("the far router did not start");
    close(pipe_ends[0]);
    endpoint_ = name;
  }
  ~FarRouter() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  const std::string& endpoint() const { return endpoint_; }
  /// Once its end was sent; so that its CPU time counts as ours.
  void wait() {
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  static void serve(uint64_t every, int name_to) {
    zmq::context_t context{1};
    zmq::socket_t router{context, zmq::socket_type::router};
    router.bind("tcp://127.0.0.1:*");
    const std::string name = router.get(zmq::sockopt::last_endpoint);
    if (write(name_to, name.data(), name.size()) < 0) return;
    close(name_to);
    zmq::message_t peer, message;
    for (uint64_t got = 0;;) {
      if (!router.recv(peer) || !router.recv(message) || message.size() == 0) return;
      if (++got % every) continue;
      router.send(peer, zmq::send_flags::sndmore);
      router.send(zmq::buffer(&got, sizeof got), zmq::send_flags::none);
    }
  }

  pid_t pid_ = -1;
  std::string endpoint_;
};

}  // namespace

void raw_zeromq(uint64_t count) {
  count -= count % kAckEvery;
  const double cpu = cpu_seconds();
  FarRouter router(kAckEvery);
  double took = 0;
  {
    zmq::context_t context{1};
    zmq::socket_t dealer{context, zmq::socket_type::dealer};
    dealer.set(zmq::sockopt::sndhwm, static_cast<int>(2 * kWindow));
    dealer.connect(router.endpoint());
    Signals signals;
    zmq::message_t ack;
    uint64_t acknowledged = 0;
    const auto take_ack = [&](zmq::recv_flags how) {
      if (!dealer.recv(ack, how)) return false;
      acknowledged = *ack.data<uint64_t>();
      return true;
    };
    const auto begin = Clock::now();
    for (uint64_t sent = 0; sent < count; ++sent) {
      while (sent - acknowledged >= kWindow) take_ack(zmq::recv_flags::none);
      dealer.send(zmq::buffer(signals.next()), zmq::send_flags::none);
      if (sent % kAckEvery == 0) {
        while (take_ack(zmq::recv_flags::dontwait)) {
        }
      }
    }
    while (acknowledged < count) take_ack(zmq::recv_flags::none);
    took = seconds_since(begin);
    dealer.send(zmq::message_t(), zmq::send_flags::none);
  }
  router.wait();
  Figures().set("rate", static_cast<double>(count) / took).set("cpu", cpu_seconds() - cpu).print();
}

void round_trip(uint64_t count) {
  FarRouter router(1);
  std::vector<double> waits;
  {
    zmq::context_t context{1};
    zmq::socket_t dealer{context, zmq::socket_type::dealer};
    dealer.connect(router.endpoint());
    Signals signals;
    zmq::message_t ack;
    for (uint64_t i = 0; i <= count; ++i) {
      const auto signal = signals.next();
      const auto begin = Clock::now();
      dealer.send(zmq::buffer(signal), zmq::send_flags::none);
      if (!dealer.recv(ack)) throw Failure("no answer");
      if (i > 0) waits.push_back(micros_since(begin));
    }
    dealer.send(zmq::message_t(), zmq::send_flags::none);
  }
  router.wait();
  Figures().spread("round_trip", waits).print();
}

}  // namespace detent::bench
