// What strangers may cost: a ROUTER with real connections, most of them by peers that speak as little as they like.
#include "bus/connections.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>
#include <zmq.hpp>

#include "bus/router_socket.h"
#include "tests/http/raw.h"

namespace detent {
namespace {

using http::RawClient;

/// ZMTP 3.0 up to READY, and the beginning of a message that is announced with `size` bytes.
std::string begun_message(uint64_t size) {
  std::string out = "\xff" + std::string(8, '\0') + "\x7f" + std::string("\x03\x00NULL", 6);
  out.resize(64, '\0');
  const std::string ready = std::string(
                                "\x05READY\x0bSocket-Type\x00\x00\x00\x06"
                                "DEALER",
                                28) +
                            std::string("\x08Identity\0\0\0\0", 13);
  out += '\x04';
  out += static_cast<char>(ready.size());
  out += ready;
  out += '\x02';
  for (int i = 7; i >= 0; --i) out += static_cast<char>(size >> (8 * i));
  return out;
}

class Bounds : public testing::Test {
 protected:
  void listen(ConnectionLimits limits) {
    router = std::make_unique<RouterSocket>("tcp://127.0.0.1:*", limits);
    port = std::stoi(router->endpoint().substr(router->endpoint().rfind(':') + 1));
  }
  /// Turns as the broker's loop does, until `done`; false where that takes too long.
  bool until(const std::function<bool()>& done, Millis patience = Millis{20'000}) {
    const Millis end = system_now().mono + patience;
    while (!done()) {
      if (system_now().mono >= end) return false;
      router->wait(Millis{10});
      router->receive(1024, 1 << 20, [this](std::string_view, std::span<char> message) {
        ++messages;
        bytes += message.size();
      });
    }
    return true;
  }
  std::unique_ptr<RawClient> stranger() { return std::make_unique<RawClient>(port); }
  static bool is_cut(RawClient& client) {
    char byte;
    while (::recv(client.fd(), &byte, 1, MSG_DONTWAIT) > 0) {
    }
    return ::recv(client.fd(), &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }
  zmq::socket_t honest() {
    zmq::socket_t dealer(context, zmq::socket_type::dealer);
    dealer.set(zmq::sockopt::linger, 0);
    dealer.connect(router->endpoint());
    return dealer;
  }

  std::unique_ptr<RouterSocket> router;
  int port = 0;
  size_t messages = 0, bytes = 0;
  zmq::context_t context;
};

TEST_F(Bounds, ConnectionsPastTheLimitAreCutAndWhoSpeaksStays) {
  listen({.connections = 20});
  auto one = honest();
  one.send(zmq::str_buffer("hello"));
  ASSERT_TRUE(until([&] { return messages == 1; }));
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(stranger());
  ASSERT_TRUE(until([&] { return router->connections().cut() >= 181; }));
  EXPECT_EQ(router->connections().count(), 20u);
  auto other = honest();
  other.send(zmq::str_buffer("hello"));
  one.send(zmq::str_buffer("still here"));
  ASSERT_TRUE(until([&] { return messages == 3; }));
  EXPECT_LE(router->connections().count(), 20u);
  EXPECT_FALSE(is_cut(*idle.back()));
  ASSERT_TRUE(until([&] { return is_cut(*idle.front()); }));
}

TEST_F(Bounds, AConnectionThatNeverSaysAnythingIsCutAfterAWhile) {
  listen({.unheard = Millis{200}});
  auto one = honest();
  one.send(zmq::str_buffer("hello"));
  const auto silent = stranger(), greeting = stranger();
  greeting->send(begun_message(1000));
  ASSERT_TRUE(until([&] { return is_cut(*silent) && is_cut(*greeting); }));
  ASSERT_TRUE(until([&] { return router->connections().count() == 1; }));
  one.send(zmq::str_buffer("again"));
  EXPECT_TRUE(until([&] { return messages == 2; }));
  EXPECT_EQ(router->connections().cut(), 2u);
}

TEST_F(Bounds, UnfinishedBytesOfAllTogetherAreBounded) {
  constexpr size_t kPart = 3 << 20;
  listen({.unread = 16 << 20});
  std::vector<std::unique_ptr<RawClient>> strangers;
  std::vector<std::thread> senders;
  for (int i = 0; i < 20; ++i) strangers.push_back(stranger());
  for (const auto& each : strangers) {
    senders.emplace_back([&each] { each->send(begun_message(15 << 20) + std::string(kPart, 'x')); });
  }
  // 60 MiB were sent, of which at most five parts may lie there.
  const bool bounded = until([&] { return router->connections().cut() >= 15; });
  for (auto& sender : senders) sender.join();
  ASSERT_TRUE(bounded) << router->connections().cut();
  ASSERT_TRUE(until([&] { return router->connections().count() <= 5; }));
  auto one = honest();
  one.send(zmq::message_t(4 << 20), zmq::send_flags::none);
  EXPECT_TRUE(until([&] { return bytes == 4 << 20; }));
}

TEST_F(Bounds, WhatWaitsForUsToReadCostsAnHonestPeerNothing) {
  listen({.unread = 4 << 20});
  auto one = honest();
  for (int i = 0; i < 12; ++i) one.send(zmq::message_t(1 << 20), zmq::send_flags::none);
  const Millis end = system_now().mono + Millis{500};
  while (system_now().mono < end) router->wait(end - system_now().mono, false);
  ASSERT_TRUE(until([&] { return messages == 12; }));
  EXPECT_EQ(router->connections().cut(), 0u);
}

TEST_F(Bounds, NobodyCountsAsSilentWhileWeDoNotRead) {
  listen({.unheard = Millis{300}, .silent = Millis{300}});
  auto one = honest();
  one.send(zmq::str_buffer("hello"));
  ASSERT_TRUE(until([&] { return messages == 1; }));
  auto late = honest();
  size_t sent = 1;
  const Millis end = system_now().mono + Millis{2500};
  for (Millis now{0}; (now = system_now().mono) < end; router->wait(Millis{100}, false)) {
    one.send(zmq::str_buffer("ping"));
    late.send(zmq::str_buffer("ping"));
    sent += 2;
  }
  ASSERT_TRUE(until([&] { return messages == sent; })) << messages << " of " << sent;
  EXPECT_EQ(router->connections().cut(), 0u);
}

TEST_F(Bounds, ALongAndBusyConnectionIsNotTakenForAnUnfinishedOne) {
  listen({.unread = 1 << 20});
  auto one = honest();
  for (int i = 0; i < 20'000; ++i) {
    one.send(zmq::message_t(i % 600), zmq::send_flags::none);
    if (i % 500 != 499) continue;
    ASSERT_TRUE(until([&] { return messages == static_cast<size_t>(i) + 1; }));
  }
  one.send(zmq::message_t(2 << 20), zmq::send_flags::none);
  ASSERT_TRUE(until([&] { return messages == 20'001; }));
  EXPECT_EQ(router->connections().cut(), 0u);
}

}  // namespace
}  // namespace detent
