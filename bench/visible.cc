#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/result.h"
#include "bench/figures.h"
#include "bench/measurements.h"
#include "producers/publisher.h"
#include "proto/signal_builder.h"

namespace detent::bench {

namespace {

/// The sandbox's page learns of every message by a stream of events; so do we.
class Events {
 public:
  explicit Events(const std::string& sandbox) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(static_cast<uint16_t>(std::stoi(sandbox.substr(sandbox.rfind(':') + 1))));
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{10, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const std::string asked =
        "GET /control/events HTTP/1.1\r\nHost: " + sandbox.substr(sandbox.rfind('/') + 1) + "\r\n\r\n";
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0 ||
        ::send(socket_, asked.data(), asked.size(), MSG_NOSIGNAL) < 0) {
      throw Failure("no sandbox answers at " + sandbox);
    }
    wait_for("retry:");
  }
  ~Events() { close(socket_); }

  void wait_for(std::string_view text) {
    char more[16'384];
    for (size_t found; (found = read_.find(text)) == std::string::npos;) {
      const ssize_t got = recv(socket_, more, sizeof more, 0);
      if (got <= 0) throw Failure("the sandbox never showed \"" + std::string(text) + "\"");
      read_.append(more, static_cast<size_t>(got));
    }
    read_.clear();
  }

 private:
  int socket_;
  std::string read_;
};

}  // namespace

void visible(const std::string& endpoint, const std::string& sandbox, uint64_t count) {
  constexpr std::chrono::milliseconds kApart{50};  // slower than the pace that the consumer keeps with Discord
  Events events(sandbox);
  Publisher publisher({.endpoint = endpoint, .name = "bench"});
  SignalBuilder builder;
  std::vector<double> waits;
  for (uint64_t i = 0; i <= count; ++i) {
    const std::string title = "visible " + std::to_string(i) + ".";
    const auto built = builder.build({.type = "cron.output", .title = title, .source = "bench"}, system_now());
    if (!built) throw Failure(built.error().what);
    const auto begin = Clock::now();
    if (auto taken = publisher.publish(built->signal); !taken) throw Failure(taken.error().what);
    events.wait_for(title);
    if (i > 0) waits.push_back(micros_since(begin));  // the first one waits for connections
    std::this_thread::sleep_until(begin + kApart);
  }
  Figures().spread("visible", waits).print();
}

}  // namespace detent::bench
