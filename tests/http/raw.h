// Plain sockets for tests: a server whose every byte the test decides, and a client that may break the rules.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>

namespace detent::http {

/// Accepts connections one after another on a thread and hands each to `talk`, which owns it. Ends after `count`.
class RawServer {
 public:
  RawServer(int count, std::function<void(int)> talk) : listening_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listening_, 8), 0);
    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, count, talk = std::move(talk)] {
      for (int i = 0; i < count; ++i) {
        const int accepted = ::accept(listening_, nullptr, nullptr);
        if (accepted < 0) return;
        talk(accepted);
        ::close(accepted);
      }
    });
  }
  ~RawServer() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

 private:
  int listening_;
  int port_ = 0;
  std::thread thread_;
};

/// Reads until the text is there or the peer ends; what was read.
inline std::string read_until(int fd, std::string_view mark) {
  std::string got;
  char buffer[4096];
  while (got.find(mark) == got.npos) {
    const auto n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    got.append(buffer, std::size_t(n));
  }
  return got;
}

inline void put(int fd, std::string_view text) { (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

/// Closes with a reset in place of an orderly end.
inline void reset_on_close(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/// A connection to a server on loopback that times out after 5 s without a byte.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const sockaddr_in address{.sin_family = AF_INET,
                              .sin_port = htons(std::uint16_t(port)),
                              .sin_addr = {htonl(INADDR_LOOPBACK)},
                              .sin_zero = {}};
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { close(); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void send(std::string_view text) { put(fd_, text); }
  std::string until(std::string_view mark) { return read_until(fd_, mark); }
  std::string rest() { return read_until(fd_, std::string_view("\0never", 6)); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace detent::http
