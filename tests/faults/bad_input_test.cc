// What is wrong at the door: refused with a reason that the sender sees, and counted; the rest is served meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <fstream>

#include "proto/signal.pb.h"
#include "proto/wire.pb.h"
#include "tests/house/house.h"
#include "tests/house/stranger.h"
#include "tests/http/raw.h"

namespace detent::house {

namespace {

using testing::HasSubstr;

const char* const kRefused = "detent_signals_rejected_total";
const char* const kNotOpened = "detent_sessions_rejected_total";
const char* const kMalformed = "detent_frames_rejected_total{reason=\"malformed\"}";

std::string fresh_id() {
  static UlidSource source;
  return std::string(source.next(system_now().wall).view());
}

Signal good(const std::string& title) {
  Note note;
  note.set_title(title);
  Signal signal;
  signal.set_id(fresh_id());
  signal.set_type("cron.output");
  signal.set_created_ms(system_now().wall.count());
  signal.set_payload(note.SerializeAsString());
  return signal;
}

class AtTheDoor : public testing::Test {
 protected:
  void SetUp() override {
    house.start_broker();
    house.start_discord({"system"});
  }

  /// Publishes one encoded signal as the next of `stranger`'s session, and what became of it: REASON_NONE where it was
  /// taken.
  Refusal publish(Stranger& stranger, const std::string& signal) {
    Publish publish;
    publish.set_first(stranger.number());
    publish.add_signals(signal);
    stranger.say(Frame::kPublish, publish.SerializeAsString());
    while (const auto heard = stranger.hear()) {
      Published published;
      if (heard->field != Frame::kPublished || !published.ParseFromString(heard->body)) continue;
      for (const Refusal& refusal : published.refusals()) return refusal;
      if (published.upto() >= publish.first()) return {};
    }
    Refusal none;
    none.set_reason(MALFORMED);
    none.set_text("no answer: " + stranger.refusal());
    return none;
  }

  void expect_refused(const std::string& signal, Reason reason, const std::string& says) {
    Stranger stranger(house.endpoint());
    ASSERT_NE(stranger.greet(), 0u);
    const double before = house.metric(kRefused);
    const Refusal refusal = publish(stranger, signal);
    EXPECT_EQ(refusal.reason(), reason) << refusal.text();
    EXPECT_THAT(refusal.text(), HasSubstr(says));
    EXPECT_EQ(house.metric(kRefused), before + 1);
    // The same peer is served as before.
    EXPECT_EQ(publish(stranger, good("Good, after " + says).SerializeAsString()).reason(), REASON_NONE);
  }

  /// The status of an answer to these very bytes, and nothing else about it.
  int http_status(const std::string& request, const std::string& headers, const std::string& body = {}) {
    http::RawClient client(std::stoi(house.http_url().substr(house.http_url().rfind(':') + 1)));
    client.send(request + " HTTP/1.1\r\n" + headers + "Connection: close\r\n" +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    const std::string answer = client.rest();
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
  }

  /// Others are served, from their publish to their message.
  void expect_the_rest_is_served() {
    const std::string title = "The rest " + std::to_string(++rest_);
    house.publish({.type = "cron.output", .title = title});
    EXPECT_TRUE(eventually([&] { return House::count(house.discord("system"), title) == 1; })) << title;
  }

  House house;

 private:
  int rest_ = 0;
};

}  // namespace

TEST_F(AtTheDoor, AStrangersPublishIsTakenByTheProtocolAlone) {
  Stranger stranger(house.endpoint());
  ASSERT_NE(stranger.greet(), 0u);
  EXPECT_EQ(publish(stranger, good("From a stranger").SerializeAsString()).reason(), REASON_NONE);
  EXPECT_TRUE(eventually([&] { return House::count(house.discord("system"), "From a stranger") == 1; }));
}

TEST_F(AtTheDoor, AMalformedFrameIsRefusedWithItsReason) {
  Stranger stranger(house.endpoint());
  ASSERT_TRUE(stranger.send("GET / HTTP/1.1\r\n\r\n"));
  const auto heard = stranger.hear();
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(heard->field, static_cast<uint32_t>(Frame::kRefused));
  EXPECT_EQ(stranger.reason(), MALFORMED);
  EXPECT_THAT(stranger.refusal(), HasSubstr("not a Frame"));
  EXPECT_EQ(house.metric(kMalformed), 1);
  expect_the_rest_is_served();
}

TEST_F(AtTheDoor, AMalformedFrameEndsItsSessionAlone) {
  Stranger one(house.endpoint()), other(house.endpoint());
  ASSERT_NE(one.greet(), 0u);
  ASSERT_NE(other.greet(), 0u);
  one.say(Frame::kPublish, "\xff\xff\xff");
  ASSERT_TRUE(one.hear().has_value());
  EXPECT_EQ(one.reason(), MALFORMED);
  EXPECT_EQ(publish(other, good("Of the other").SerializeAsString()).reason(), REASON_NONE);
}

TEST_F(AtTheDoor, APeerThatGoesOnWithMalformedFramesIsNotServedAnyMore) {
  Stranger stranger(house.endpoint());
  size_t answers = 0;
  for (int i = 0; i < 50 && stranger.send("nonsense " + std::to_string(i)); ++i) {
    if (!stranger.hear(Millis{i < 8 ? 5'000 : 50})) break;
    ++answers;
  }
  EXPECT_LE(answers, 10u);
  EXPECT_GE(answers, 1u);
  EXPECT_EQ(stranger.greet(), 0u) << "it is too late for a greeting";
  EXPECT_GE(house.metric(kMalformed), static_cast<double>(answers));
  EXPECT_THAT(house.log("broker"), HasSubstr("not listened to any more"));
  expect_the_rest_is_served();
}

TEST_F(AtTheDoor, AMessageOverTheFrameLimitIsRefusedWithItsReason) {
  Stranger stranger(house.endpoint());
  ASSERT_NE(stranger.greet(), 0u);
  Publish large;
  large.set_first(1);
  large.add_signals(std::string(kMaxFrame, 'x'));
  stranger.say(Frame::kPublish, large.SerializeAsString());
  ASSERT_TRUE(stranger.hear().has_value());
  EXPECT_EQ(stranger.reason(), TOO_LARGE);
  EXPECT_THAT(stranger.refusal(), HasSubstr("over the limit of 8388608"));
  EXPECT_EQ(house.metric("detent_frames_rejected_total{reason=\"too_large\"}"), 1);
  ASSERT_NE(stranger.greet(), 0u) << "the connection stands";
  EXPECT_EQ(publish(stranger, good("After a large one").SerializeAsString()).reason(), REASON_NONE);
  expect_the_rest_is_served();
}

TEST_F(AtTheDoor, AMessageOfTwiceTheFrameLimitCostsItsSenderTheConnection) {
  Stranger stranger(house.endpoint());
  ASSERT_NE(stranger.greet(), 0u);
  Publish publish;
  publish.set_first(1);
  publish.add_signals(std::string(2 * kMaxFrame, 'x'));
  stranger.say(Frame::kPublish, publish.SerializeAsString());
  EXPECT_FALSE(stranger.hear().has_value());
  EXPECT_TRUE(stranger.closed());
  expect_the_rest_is_served();
}

TEST_F(AtTheDoor, ASignalOverItsLimitIsRefused) {
  Signal signal = good("Too large");
  Note note;
  note.set_title("Too large");
  note.set_body(std::string(kMaxSignal, 'x'));
  signal.set_payload(note.SerializeAsString());
  Stranger stranger(house.endpoint());
  ASSERT_NE(stranger.greet(), 0u);
  const Refusal refusal = publish(stranger, signal.SerializeAsString());
  EXPECT_TRUE(refusal.reason() == BAD_SIGNAL || refusal.reason() == BAD_PAYLOAD || refusal.reason() == TOO_LARGE)
      << refusal.text();
  EXPECT_FALSE(refusal.text().empty());
  expect_the_rest_is_served();
}

TEST_F(AtTheDoor, AKnownTypeWithAMalformedPayloadIsRefused) {
  Signal signal = good("");
  signal.set_payload("\x0a\xff\xff\xff\xff");  // a title of more bytes than there are
  expect_refused(signal.SerializeAsString(), BAD_PAYLOAD, "CronOutput");
}

TEST_F(AtTheDoor, AFieldOverItsLimitIsNamed) {
  Signal long_source = good("Fine");
  long_source.set_source(std::string(129, 's'));
  expect_refused(long_source.SerializeAsString(), BAD_SIGNAL, "source");
  Note note;
  note.set_title(std::string(513, 't'));
  Signal long_title = good("");
  long_title.set_payload(note.SerializeAsString());
  expect_refused(long_title.SerializeAsString(), BAD_PAYLOAD, "title");
  Signal many_labels = good("Fine");
  for (int i = 0; i < 33; ++i) many_labels.add_labels()->set_key("k" + std::to_string(i));
  expect_refused(many_labels.SerializeAsString(), BAD_SIGNAL, "labels");
}

TEST_F(AtTheDoor, ATextThatIsNotUtf8IsRefused) {
  Signal signal = good("");
  signal.set_payload(std::string("\x0a\x02\xc3\x28", 4));
  expect_refused(signal.SerializeAsString(), BAD_PAYLOAD, "UTF-8");
}

TEST_F(AtTheDoor, AMalformedHeadIsRefused) {
  Signal short_id = good("Fine");
  short_id.set_id("short");
  expect_refused(short_id.SerializeAsString(), BAD_SIGNAL, "id");
  Signal wrong_type = good("Fine");
  wrong_type.set_type("Not A Type");
  expect_refused(wrong_type.SerializeAsString(), BAD_SIGNAL, "type");
}

TEST_F(AtTheDoor, AProtocolVersionThatIsNotSpokenIsRefusedWithTheOneThatIs) {
  Stranger stranger(house.endpoint());
  const double before = house.metric(kNotOpened);
  EXPECT_EQ(stranger.greet(0, 99), 0u);
  EXPECT_EQ(stranger.reason(), VERSION);
  EXPECT_THAT(stranger.refusal(), HasSubstr("speaks " + std::to_string(kProtocolVersion)));
  EXPECT_EQ(house.metric(kNotOpened), before + 1);
  EXPECT_NE(stranger.greet(), 0u) << "with the right one it is welcome";
  expect_the_rest_is_served();
}

TEST_F(AtTheDoor, AnIdUsedAgainForOtherContentIsRefusedAndForTheSameIsARepeat) {
  Stranger stranger(house.endpoint());
  ASSERT_NE(stranger.greet(), 0u);
  Signal first = good("The first content");
  EXPECT_EQ(publish(stranger, first.SerializeAsString()).reason(), REASON_NONE);
  EXPECT_EQ(publish(stranger, first.SerializeAsString()).reason(), REASON_NONE) << "a repeat is acknowledged";
  Signal other = good("Other content");
  other.set_id(first.id());
  const Refusal refusal = publish(stranger, other.SerializeAsString());
  EXPECT_EQ(refusal.reason(), ID_REUSED);
  EXPECT_THAT(refusal.text(), HasSubstr(Ulid::from_bytes(first.id())->text()));
  // Neither does a restart forget the id.
  house.kill("broker");
  house.start_broker();
  Stranger later(house.endpoint());
  ASSERT_NE(later.greet(), 0u);
  EXPECT_EQ(publish(later, first.SerializeAsString()).reason(), REASON_NONE);
  EXPECT_EQ(publish(later, other.SerializeAsString()).reason(), ID_REUSED);
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("system"), "**The first content**"), 1u) << "a repeat is not delivered again";
  EXPECT_EQ(House::count(house.discord("system"), "Other content"), 0u);
}

TEST_F(AtTheDoor, ManyThatComeAndGoCostAConsumerFewPings) {
  Stranger consumer(house.endpoint());
  ASSERT_NE(consumer.greet(Hello::CONSUMER), 0u);
  const Millis begun = system_now().mono;
  for (int i = 0; i < 50; ++i) {
    Stranger(house.endpoint()).greet();
    ASSERT_TRUE(consumer.say(Frame::kPong, {})) << "one that is silent for long is given up, and pinged no more";
  }
  size_t pings = 0;
  while (const auto heard = consumer.hear(Millis{500})) pings += heard->field == Frame::kPing;
  EXPECT_GE(pings, 2u) << "a consumer may be among those that went";
  EXPECT_LE(pings, static_cast<size_t>((system_now().mono - begun).count()) / 100 + 1);
}

TEST_F(AtTheDoor, ARoleMayNotDoWhatIsAnothers) {
  Stranger stranger(house.endpoint());
  ASSERT_NE(stranger.greet(), 0u);
  Settle settle;
  settle.set_channel("discord.system");
  settle.add_delivered(1);
  stranger.say(Frame::kSettle, settle.SerializeAsString());
  ASSERT_TRUE(stranger.hear().has_value());
  EXPECT_EQ(stranger.reason(), NOT_ALLOWED) << "a producer settles nothing";
  EXPECT_THAT(stranger.refusal(), HasSubstr("PRODUCER may not send settle"));
  EXPECT_EQ(house.metric("detent_frames_rejected_total{reason=\"not_allowed\"}"), 1);
  expect_the_rest_is_served();
}

TEST_F(AtTheDoor, HttpRefusesLikewiseWithTheReason) {
  EXPECT_EQ(house.post("/v1/signals", R"({"type":"cron.output","title":"By HTTP"})").status, 200);
  const auto bad_json = house.post("/v1/signals", "{not json");
  EXPECT_EQ(bad_json.status, 400);
  EXPECT_THAT(bad_json.body, HasSubstr("error"));
  EXPECT_THAT(house.post("/v1/signals", R"({"type":"cron.output","title":"x","titel":"y"})").body, HasSubstr("titel"));
  const auto long_title =
      house.post("/v1/signals", R"({"type":"cron.output","title":")" + std::string(600, 't') + "\"}");
  EXPECT_TRUE(long_title.status == 422 || long_title.status == 400) << long_title.status;
  EXPECT_THAT(long_title.body, HasSubstr("title"));
  EXPECT_EQ(house.post("/v1/signals", std::string(kMaxFrame + 1000, ' ')).status, 413);
  EXPECT_EQ(house.get("/v1/nothing").status, 404);
  ASSERT_TRUE(house.settled());
  EXPECT_EQ(House::count(house.discord("system"), "By HTTP"), 1u);
}

TEST_F(AtTheDoor, AWebPageMayNeitherPublishNorReadThroughTheOperatorsBrowser) {
  const std::string own = house.http_url().substr(7), host = "Host: " + own + "\r\n";
  const std::string signal = R"({"type":"cron.output","title":"From a web page"})";
  const std::string simple = "Content-Type: text/plain\r\n";  // what a page may send without asking first
  const std::string foreign[] = {host + "Origin: https://evil.example\r\n",
                                 host + "Origin: null\r\n",
                                 host + "Origin: http://localhost:3000\r\n",
                                 host + "Sec-Fetch-Site: cross-site\r\n",
                                 host + "Sec-Fetch-Site: same-site\r\n",
                                 "Host: evil.example\r\n",
                                 "Host: evil.example\r\nOrigin: http://evil.example\r\n",
                                 "Host: 127.0.0.1.evil.example:7480\r\n",
                                 "Host: localhost:7480@evil.example\r\n"};
  for (const std::string& headers : foreign) {
    EXPECT_EQ(http_status("POST /v1/signals", headers + simple, signal), 403) << headers;
    for (const char* path : {"/healthz", "/metrics", "/v1/status", "/v1/nothing", "/"}) {
      EXPECT_EQ(http_status(std::string("GET ") + path, headers), 403) << path << "\n" << headers;
    }
  }
  EXPECT_EQ(http_status("OPTIONS /v1/signals", host + "Origin: https://evil.example\r\n"
                                                      "Access-Control-Request-Method: POST\r\n"),
            403);
  expect_the_rest_is_served();
  EXPECT_EQ(House::count(house.discord("system"), "From a web page"), 0u);
}

TEST_F(AtTheDoor, CurlAsTheReadmeHasItAndOurOwnPagesAreServed) {
  const std::string port = house.http_url().substr(house.http_url().rfind(':') + 1);
  const std::string form =
      "User-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\n";
  int sent = 0;
  for (const std::string& host : {"localhost:" + port, "127.0.0.1:" + port, "127.0.0.1" + std::string(),
                                  "[::1]:" + port, "LOCALHOST:" + port, "127.8.8.8:1" + std::string()}) {
    const std::string title = "By curl " + std::to_string(++sent);
    EXPECT_EQ(http_status("POST /v1/signals", "Host: " + host + "\r\n" + form,
                          R"({"type":"cron.output","title":")" + title + R"("})"),
              200)
        << host;
    EXPECT_TRUE(eventually([&] { return House::count(house.discord("system"), title) == 1; })) << title;
    // A page that the operator opens by hand, and what a page of the server's own would ask.
    EXPECT_EQ(http_status("GET /v1/status", "Host: " + host + "\r\nSec-Fetch-Site: none\r\n"), 200) << host;
    EXPECT_EQ(http_status("GET /v1/status",
                          "Host: " + host + "\r\nOrigin: http://" + host + "\r\nSec-Fetch-Site: same-origin\r\n"),
              200)
        << host;
  }
}

// ---- what strangers may cost

namespace {

/// MiB that the process has in memory. Sanitizers keep what was freed.
size_t resident(House& house) {
  std::ifstream in("/proc/" + std::to_string(house.process("broker").pid()) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6)) / 1024;
  }
  return 0;
}
#ifdef DETENT_SANITIZED
constexpr size_t kAtMost = 4096, kAfterwards = 4096;
#else
constexpr size_t kAtMost = 400, kAfterwards = 100;
#endif

/// ZMTP 3.0 up to READY: all that it takes to be let in, and ZeroMQ asks for nothing more.
std::string greeting() {
  std::string out = "\xff" + std::string(8, '\0') + "\x7f" + std::string("\x03\x00NULL", 6);
  out.resize(64, '\0');
  return out + std::string(
                   "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
                   "DEALER",
                   30);
}

/// The beginning of a message that is announced with 15 MiB.
std::string begun_message() { return greeting() + std::string("\x02\0\0\0\0\0\xf0\0\0", 9); }

}  // namespace

TEST_F(AtTheDoor, ThousandsOfIdleConnectionsNeitherStopTheBrokerNorLockAnyoneOut) {
  rlimit mine{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &mine), 0);
  const rlimit raised{mine.rlim_max, mine.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &raised), 0);
  const size_t many = std::min<size_t>(3000, mine.rlim_max - 200);
  // As on a system whose hard limit is that low.
  const pid_t broker = house.process("broker").pid();
  rlimit low{};
  ASSERT_EQ(prlimit(broker, RLIMIT_NOFILE, nullptr, &low), 0);
  low.rlim_cur = std::min<rlim_t>(low.rlim_cur, 1024);
  ASSERT_EQ(prlimit(broker, RLIMIT_NOFILE, &low, nullptr), 0);
  const auto descriptors = [&] {
    return std::distance(std::filesystem::directory_iterator("/proc/" + std::to_string(broker) + "/fd"), {});
  };
  const int bus = std::stoi(house.endpoint().substr(house.endpoint().rfind(':') + 1));
  std::vector<std::unique_ptr<http::RawClient>> idle;
  for (size_t i = 0; i < many; ++i) {
    idle.push_back(std::make_unique<http::RawClient>(bus));
    idle.back()->send(greeting());
    // There are more for a moment, between ZeroMQ's accepting and our cutting.
    if (i % 100 == 0) {
      ASSERT_TRUE(eventually([&] { return descriptors() < 800; })) << descriptors() << " at " << i;
    }
    if (i % 500 == 0) expect_the_rest_is_served();
  }
  house.forget_publisher();
  expect_the_rest_is_served();
  // Segments are begun meanwhile: 4 MiB each.
  for (int i = 0; i < 12; ++i)
    house.publish({.type = "cron.output", .title = "Large", .body = std::string(900'000, 'x')});
  EXPECT_EQ(house.log("broker").find("Too many open files"), std::string::npos);
  idle.clear();
  expect_the_rest_is_served();
  EXPECT_TRUE(house.process("broker").running());
}

TEST_F(AtTheDoor, UnfinishedMessagesOnTheBusAreBoundedAndTheirMemoryGoesBack) {
  const int bus = std::stoi(house.endpoint().substr(house.endpoint().rfind(':') + 1));
  std::vector<std::unique_ptr<http::RawClient>> strangers;
  const std::string part = begun_message() + std::string(14 << 20, 'x');
  size_t most = 0;
  for (int i = 0; i < 60; ++i) {
    strangers.push_back(std::make_unique<http::RawClient>(bus));
    strangers.back()->send(part);
    most = std::max(most, resident(house));
  }
  EXPECT_LT(most, kAtMost);
  expect_the_rest_is_served();
  strangers.clear();
  // By itself: nothing is published meanwhile.
  EXPECT_TRUE(eventually([&] { return resident(house) < kAfterwards; })) << resident(house) << " MiB, at most " << most;
}

TEST_F(AtTheDoor, HalfSentBodiesAreBoundedAndTheirMemoryGoesBack) {
  const int port = std::stoi(house.http_url().substr(house.http_url().rfind(':') + 1));
  std::vector<std::unique_ptr<http::RawClient>> strangers;
  const std::string part =
      "POST /v1/signals HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n" + std::string(7'000'000, ' ');
  size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    strangers.push_back(std::make_unique<http::RawClient>(port));
    strangers.back()->send(part);
    most = std::max(most, resident(house));
  }
  EXPECT_LT(most, kAtMost);
  EXPECT_EQ(house.post("/v1/signals", R"({"type":"cron.output","title":"Meanwhile"})").status, 200);
  expect_the_rest_is_served();
  strangers.clear();
  EXPECT_TRUE(eventually([&] { return resident(house) < kAfterwards; })) << resident(house) << " MiB, at most " << most;
}

TEST(AtTheDoorOfANamedHost, TheConfiguredNameIsServedAndNoOther) {
  House house({.broker = "http_name = \"detent.home.example\"\n"});
  house.start_broker();
  const auto status = [&](const std::string& host) {
    http::RawClient client(std::stoi(house.http_url().substr(house.http_url().rfind(':') + 1)));
    client.send("GET /healthz HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
    return client.rest().substr(9, 3);
  };
  EXPECT_EQ(status("detent.home.example"), "200");
  EXPECT_EQ(status("Detent.Home.Example:7480"), "200");
  EXPECT_EQ(status("home.example"), "403");
  EXPECT_EQ(status("localhost"), "200");
}

}  // namespace detent::house
