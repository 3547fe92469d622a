#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/result.h"
#include "bench/consumer.h"
#include "bench/figures.h"
#include "bench/measurements.h"

extern char** environ;

namespace detent::bench {

namespace {

/// Whether somebody accepts there. A ZeroMQ socket that were refused once would wait 100 ms before it tries again.
bool listens(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(port);
  there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool yes = connect(fd, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0;
  close(fd);
  return yes;
}

class Child {
 public:
  Child(std::string program, std::string config) {
    std::string flag = "--config";
    char* const arguments[] = {program.data(), flag.data(), config.data(), nullptr};
    if (posix_spawn(&pid_, program.c_str(), nullptr, nullptr, arguments, environ) != 0)
      throw Failure("cannot start " + program);
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
};

}  // namespace

void restart(const std::string& broker, const std::string& config, const std::string& endpoint,
             const std::string& channel) {
  const auto port = static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
  const auto begin = Clock::now();
  Child child(broker, config);
  const auto late = [&] {
    if (seconds_since(begin) > 120) throw Failure("the broker delivers nothing");
  };
  while (!listens(port)) {
    late();
    std::this_thread::sleep_for(std::chrono::microseconds{500});
  }
  const double up = seconds_since(begin);
  Consumer consumer(endpoint, channel);
  bool seen = false;
  while (!seen) {
    late();
    consumer.turn(Millis{100}, [&](std::string_view) { seen = true; });
  }
  Figures().set("listening", up).set("delivered", seconds_since(begin)).print();
}

}  // namespace detent::bench
