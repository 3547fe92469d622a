#include "http/server.h"

#include <gtest/gtest.h>

#include <future>

#include "base/result.h"
#include "http/client.h"
#include "tests/http/raw.h"

namespace detent::http {
namespace {

TEST(Server, HandsOverARequestWhollyRead) {
  std::promise<Incoming> got;
  Server server({}, [&](Incoming in, Reply reply) {
    got.set_value(std::move(in));
    reply.send({.status = 201, .body = "{}"});
  });
  RawClient client(server.port());
  client.send("PUT /a%2Fb/c?limit=5&q=two+words HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(client.until("{}").substr(0, 20), "HTTP/1.1 201 Created");
  const Incoming in = got.get_future().get();
  EXPECT_EQ(in.method, "PUT");
  EXPECT_EQ(in.path, "/a/b/c");
  EXPECT_EQ(in.target, "/a%2Fb/c?limit=5&q=two+words");
  ASSERT_TRUE(in.parameter("q"));
  EXPECT_EQ(*in.parameter("q"), "two words");
  EXPECT_EQ(in.parameter("Q"), nullptr);
  EXPECT_EQ(in.header("x-one"), "1");
  EXPECT_EQ(in.body, "hello");
  EXPECT_TRUE(in.loopback);
}

TEST(Server, AnswersLaterFromAnotherThread) {
  std::promise<Reply> waiting;
  Server server({}, [&](Incoming, Reply reply) { waiting.set_value(reply); });
  std::thread other([&] {
    const Reply reply = waiting.get_future().get();
    reply.send({.body = "late"});
    reply.send({.body = "twice"});
  });
  KeepAliveClient client;
  const auto answer = client.send({.url = server.url() + "/"});
  other.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "late");
}

TEST(Server, StreamsPiecesAsTheyCome) {
  std::promise<Reply> open;
  Server server({}, [&](Incoming, Reply reply) {
    reply.begin({.body = "first\n", .content_type = "text/event-stream"});
    open.set_value(reply);
  });
  RawClient client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.until("first\n").find("Transfer-Encoding: chunked"), std::string::npos);
  const Reply reply = open.get_future().get();
  EXPECT_TRUE(reply.write("second\n"));
  EXPECT_NE(client.until("second\n").find("7\r\nsecond"), std::string::npos);
  reply.end();
  EXPECT_NE(client.until("0\r\n\r\n").find("0\r\n\r\n"), std::string::npos);
}

TEST(Server, DropsAStreamWhoseClientDoesNotRead) {
  std::promise<Reply> open;
  Server server({}, [&](Incoming, Reply reply) {
    reply.begin({});
    open.set_value(reply);
  });
  RawClient client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const Reply reply = open.get_future().get();
  int taken = 0;
  while (taken < 10'000 && reply.write(std::string(64 << 10, 'x'))) ++taken;
  EXPECT_LT(taken, 10'000);
}

TEST(Server, SaysWhenTheClientLeavesBeforeTheAnswer) {
  std::promise<void> gone, arrived;
  Server server({}, [&](Incoming, Reply reply) {
    reply.on_gone([&] { gone.set_value(); });
    reply.hold();
    arrived.set_value();
  });
  RawClient client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  arrived.get_future().wait();
  client.close();
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
}

TEST(Server, AnswersFiveHundredWhenAReplyIsForgottenOrTheRouteThrows) {
  Server server({}, [&](Incoming in, Reply) {
    if (in.path == "/throw") throw Failure("no");
  });
  KeepAliveClient client;
  for (const char* path : {"/throw", "/forget"}) {
    const auto answer = client.send({.url = server.url() + path});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 500);
  }
}

TEST(Server, RefusesWhatIsTooLargeOrNoHttp) {
  Server server({.max_body = 1000, .max_header = 2000}, [](Incoming, Reply reply) { reply.send({}); });
  const auto first_line = [&](std::string_view text) {
    RawClient client(server.port());
    client.send(text);
    return client.rest().substr(9, 3);
  };
  EXPECT_EQ(first_line("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"), "413");
  EXPECT_EQ(first_line("GET / HTTP/1.1\r\nX: " + std::string(4000, 'x') + "\r\n\r\n"), "431");
  EXPECT_EQ(first_line("this is not http\r\n\r\n"), "400");
  EXPECT_EQ(first_line("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'x')), "413");
}

TEST(Server, AsksForABodyThatTheClientHoldsBack) {
  Server server({}, [](Incoming in, Reply reply) { reply.send({.body = "got " + in.body}); });
  RawClient client(server.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  EXPECT_NE(client.until("got hi").find("got hi"), std::string::npos);
}

TEST(Server, ServesPipelinedRequestsInOrder) {
  Server server({}, [](Incoming in, Reply reply) { reply.send({.body = in.path + "."}); });
  RawClient client(server.port());
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.0\r\n\r\n");
  const std::string all = client.rest();
  EXPECT_LT(all.find("/1."), all.find("/2."));
  EXPECT_LT(all.find("/2."), all.find("/3."));
  EXPECT_NE(all.find("/3."), all.npos);
}

TEST(Server, ClosesAConnectionThatIsSilentForTooLong) {
  Server server({.idle = Millis(50)}, [](Incoming, Reply reply) { reply.send({}); });
  RawClient client(server.port());
  client.send("GET / HT");
  EXPECT_EQ(client.rest(), "");
}

TEST(Server, RefusesAConnectionPastItsLimit) {
  Server server({.max_connections = 1}, [](Incoming, Reply reply) { reply.send({}); });
  RawClient first(server.port());
  first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  first.until("\r\n\r\n");
  RawClient second(server.port());
  EXPECT_EQ(second.rest().substr(9, 3), "503");
}

TEST(Server, AConnectionThatSendsNothingGivesItsPlaceToAnother) {
  Server server({.max_connections = 2}, [](Incoming, Reply reply) { reply.send({}); });
  RawClient first(server.port()), second(server.port());
  // Those two are left a moment to send something; then whoever comes takes the place of the first.
  std::string answer;
  for (int tries = 0; tries < 200 && answer != "200"; ++tries) {
    RawClient third(server.port());
    third.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    answer = third.rest().substr(9, 3);
    std::promise<void> later;
    server.after(Millis(20), [&] { later.set_value(); });
    later.get_future().wait();
  }
  EXPECT_EQ(answer, "200");
  EXPECT_EQ(first.rest(), "") << "it was closed";
}

TEST(Server, UnfinishedBodiesOfAllTogetherAreBounded) {
  constexpr std::size_t kBody = 1 << 20;
  Server server({.max_body = kBody, .max_bodies = 4 * kBody},
                [](Incoming in, Reply reply) { reply.send({.body = "got " + std::to_string(in.body.size())}); });
  std::vector<std::unique_ptr<RawClient>> half_sent;
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n";
  for (int i = 0; i < 12; ++i) {
    half_sent.push_back(std::make_unique<RawClient>(server.port()));
    half_sent.back()->send(head + std::string(kBody - 1, 'x'));
  }
  // Those that began first are let go; whoever begins and ends is served.
  EXPECT_EQ(half_sent.front()->rest().substr(9, 3), "503");
  for (int i = 0; i < 20; ++i) {
    RawClient whole(server.port());
    whole.send(head + std::string(kBody, 'x'));
    EXPECT_NE(whole.until("got 1048576").find("got 1048576"), std::string::npos);
  }
  int refused = 1;
  for (std::size_t i = 1; i < half_sent.size(); ++i) {
    char byte;
    refused += ::recv(half_sent[i]->fd(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
  }
  EXPECT_GE(refused, 8);
}

TEST(Server, ResetsTheConnectionWhereAskedTo) {
  Server server({}, [](Incoming, Reply reply) { reply.reset(); });
  RawClient client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  char byte;
  EXPECT_EQ(::recv(client.fd(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST(Server, EndsWithRequestsOpenAndRepliesOutstanding) {
  std::promise<Reply> held;
  Reply late;
  {
    Server server({}, [&](Incoming, Reply reply) { held.set_value(reply); });
    RawClient client(server.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    late = held.get_future().get();
    server.after(Millis(60'000), [] { FAIL(); });
  }
  late.send({.body = "to nobody"});
  EXPECT_FALSE(late.write("nor this"));
}

TEST(Server, RunsWhatIsPostponedOnItsThread) {
  std::promise<std::thread::id> posted, postponed;
  Server server({}, [](Incoming, Reply) {});
  server.post([&] { posted.set_value(std::this_thread::get_id()); });
  server.after(Millis(5), [&] { postponed.set_value(std::this_thread::get_id()); });
  EXPECT_EQ(posted.get_future().get(), postponed.get_future().get());
}

TEST(Server, SaysWhatIsWrongWithAnAddress) {
  for (const char* bad : {"7480", "127.0.0.1:", "127.0.0.1:70000", "nowhere:1", "127.0.0.1:x"}) {
    EXPECT_THROW(Server({.listen = bad}, [](Incoming, Reply) {}), Failure) << bad;
  }
  Server first({}, [](Incoming, Reply) {});
  EXPECT_THROW(Server({.listen = "127.0.0.1:" + std::to_string(first.port())}, [](Incoming, Reply) {}), Failure);
}

}  // namespace
}  // namespace detent::http
