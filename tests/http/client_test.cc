#include "http/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "http/server.h"
#include "tests/http/raw.h"

namespace detent::http {
namespace {

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Server::Serve echo() {
  return [](Incoming in, Reply reply) {
    reply.send({.status = 200,
                .body = in.method + " " + in.target + " " + in.body,
                .content_type = "text/plain",
                .headers = {{"X-Agent", std::string(in.header("user-agent"))}}});
  };
}

TEST(KeepAliveClient, SendsWhatItIsGivenAndReadsTheAnswer) {
  Server server({}, echo());
  KeepAliveClient client;
  const auto answer = client.send({.method = "POST",
                                   .url = server.url() + "/a%20b?x=1",
                                   .headers = {{"User-Agent", "test"}},
                                   .body = std::string(100'000, 'z')});
  ASSERT_TRUE(answer) << answer.error().error.what;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "POST /a%20b?x=1 " + std::string(100'000, 'z'));
  EXPECT_EQ(answer->header("x-AGENT"), "test");
}

TEST(KeepAliveClient, UsesOneConnectionForManyRequests) {
  std::atomic<int> connections{0};
  RawServer server(2, [&](int fd) {
    ++connections;
    while (!read_until(fd, "\r\n\r\n").empty()) put(fd, kOk);
  });
  {
    KeepAliveClient client;
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(client.send({.url = server.url() + "/"}));
  }
  EXPECT_EQ(connections, 1);
}

TEST(KeepAliveClient, KnowsThatARefusedConnectionSentNothing) {
  int port = 0;
  {
    port = RawServer(0, [](int) {}).port();
  }
  KeepAliveClient client;
  const auto answer = client.send({.method = "POST", .url = "http://127.0.0.1:" + std::to_string(port) + "/"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::No);
  EXPECT_EQ(answer.error().error.code, ECONNREFUSED);
}

TEST(KeepAliveClient, KnowsThatANameWithoutAddressSentNothing) {
  KeepAliveClient client;
  const auto answer = client.send({.url = "http://no-such-host.invalid/", .deadline = Millis(5000)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::No);
}

TEST(KeepAliveClient, RefusesUrlsAndHeadersItCannotSend) {
  KeepAliveClient client;
  for (const char* url : {"", "discord.com/api", "ftp://host/", "http:///x", "http://host/bot1:hushed # mine/send",
                          "hushed://host/", "http://127.0.0.1:99999999999999999999/"}) {
    const auto answer = client.send({.url = url});
    ASSERT_FALSE(answer) << url;
    EXPECT_EQ(answer.error().sent, Sent::No);
    EXPECT_TRUE(answer.error().malformed);
    EXPECT_EQ(answer.error().error.what.find("hushed"), std::string::npos);
  }
  const auto broken = client.send({.url = "http://127.0.0.1:1/", .headers = {{"X", "a\r\nY: b"}}});
  ASSERT_FALSE(broken);
  EXPECT_TRUE(broken.error().malformed);
  const auto refused = client.send({.url = "http://127.0.0.1:1/"});
  ASSERT_FALSE(refused);
  EXPECT_FALSE(refused.error().malformed);
}

TEST(KeepAliveClient, EndsAtTheDeadlineAndCallsItPerhapsSent) {
  Server server({}, [](Incoming, Reply reply) { reply.hold(); });
  KeepAliveClient client;
  const auto answer = client.send({.method = "POST", .url = server.url() + "/", .body = "x", .deadline = Millis(150)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::Maybe);
  EXPECT_EQ(answer.error().error.code, ETIMEDOUT);
}

TEST(KeepAliveClient, HasOneDeadlineForAServerThatTricklesItsAnswer) {
  std::promise<void> enough;
  const auto stop = enough.get_future();
  RawServer server(1, [&](int fd) {
    read_until(fd, "\r\n\r\n");
    put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (stop.wait_for(Millis(20)) == std::future_status::timeout) put(fd, "x");
  });
  KeepAliveClient client;
  const auto answer = client.send({.url = server.url() + "/", .deadline = Millis(200)});
  enough.set_value();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error.code, ETIMEDOUT);
}

TEST(KeepAliveClient, CallsAResetAfterTheRequestPerhapsSent) {
  Server server({}, [](Incoming, Reply reply) { reply.reset(); });
  KeepAliveClient client;
  const auto answer = client.send({.method = "POST", .url = server.url() + "/", .body = "x"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::Maybe);
}

TEST(KeepAliveClient, ReplacesAKeptConnectionThatWasClosedMeanwhile) {
  std::promise<void> closed;
  std::atomic<int> count{0};
  RawServer server(2, [&](int fd) {
    read_until(fd, "\r\n\r\n");
    put(fd, kOk);
    ::shutdown(fd, SHUT_RDWR);
    if (++count == 1) closed.set_value();
  });
  KeepAliveClient client;
  ASSERT_TRUE(client.send({.method = "POST", .url = server.url() + "/", .body = "1"}));
  closed.get_future().wait();
  const auto answer = client.send({.method = "POST", .url = server.url() + "/", .body = "2"});
  EXPECT_TRUE(answer) << answer.error().error.what;
}

// The server takes the second request on the kept connection and ends it without an answer.
void break_on_second(int fd) {
  read_until(fd, "\r\n\r\n");
  put(fd, kOk);
  read_until(fd, "\r\n\r\n");
}

TEST(KeepAliveClient, DoesNotRepeatAPostThatAKeptConnectionMayHaveTaken) {
  std::atomic<int> connections{0};
  {
    RawServer server(2, [&](int fd) {
      ++connections;
      break_on_second(fd);
    });
    KeepAliveClient client;
    ASSERT_TRUE(client.send({.url = server.url() + "/"}));
    const auto answer = client.send({.method = "POST", .url = server.url() + "/"});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().sent, Sent::Maybe);
  }
  EXPECT_EQ(connections, 1);
}

TEST(KeepAliveClient, RepeatsAGetOnceWhenAKeptConnectionBreaks) {
  std::atomic<int> connections{0};
  RawServer server(2, [&](int fd) {
    ++connections;
    break_on_second(fd);
  });
  KeepAliveClient client;
  ASSERT_TRUE(client.send({.url = server.url() + "/"}));
  EXPECT_TRUE(client.send({.url = server.url() + "/"}));
  EXPECT_EQ(connections, 2);
}

TEST(KeepAliveClient, RefusesAnAnswerLongerThanItsLimit) {
  Server server({}, [](Incoming, Reply reply) { reply.send({.body = std::string(5000, 'x')}); });
  KeepAliveClient client({.max_body = 4096});
  const auto answer = client.send({.url = server.url() + "/"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, Sent::Maybe);
}

TEST(KeepAliveClient, ReadsAnAnswerWithoutLengthAndOneWithoutBody) {
  RawServer server(1, [](int fd) {
    read_until(fd, "\r\n\r\n");
    put(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    read_until(fd, "\r\n\r\n");
    put(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end");
  });
  KeepAliveClient client;
  const auto none = client.send({.method = "DELETE", .url = server.url() + "/"});
  ASSERT_TRUE(none);
  EXPECT_EQ(none->status, 204);
  const auto open_ended = client.send({.url = server.url() + "/"});
  ASSERT_TRUE(open_ended) << open_ended.error().error.what;
  EXPECT_EQ(open_ended->body, "until the end");
}

TEST(KeepAliveClient, IsBrokenOffByInterrupt) {
  std::promise<void> arrived;
  Server server({}, [&](Incoming, Reply reply) {
    reply.hold();
    arrived.set_value();
  });
  KeepAliveClient client;
  std::thread other([&] {
    arrived.get_future().wait();
    client.interrupt();
  });
  const auto answer = client.send({.method = "POST", .url = server.url() + "/", .deadline = Millis(20'000)});
  other.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error.code, ECANCELED);
  EXPECT_EQ(answer.error().sent, Sent::Maybe);
  const auto later = client.send({.url = server.url() + "/"});
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().sent, Sent::No);
}

}  // namespace
}  // namespace detent::http
