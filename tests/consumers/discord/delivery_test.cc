#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

#include "consumers/discord/channel.h"
#include "consumers/text.h"
#include "tests/consumers/desk.h"

namespace detent::discord {
namespace {

namespace json = boost::json;
using testing::Desk;
using testing::failure;
using testing::note;
using testing::reply;

constexpr const char* kPermissions = R"({"message":"Missing Permissions","code":50013})";

/// Discord as far as a well-behaved sender sees it: one message for each nonce, a history, threads.
struct FakeDiscord {
  std::vector<json::object> messages;
  std::map<std::string, std::string> by_nonce;
  int creates = 0;

  http::Answer operator()(const http::Request& request) {
    if (request.method == "GET" && request.url.ends_with("/channels/77"))
      return reply(200, R"({"id":"77","guild_id":"5"})");
    if (request.method == "GET") {
      json::array page;
      const size_t after = request.url.find("after=");
      const std::string bound =
          after == std::string::npos ? "0" : request.url.substr(after + 6, request.url.find('&', after) - after - 6);
      for (const auto& message : messages) {
        if (std::stoull(std::string(message.at("id").as_string())) > std::stoull(bound))
          page.insert(page.begin(), message);
      }
      return reply(200, json::serialize(page));
    }
    if (request.url.ends_with("/threads")) {
      return reply(201, R"({"id":"1"})");
    }
    ++creates;
    json::object message = json::parse(request.body).as_object();
    const std::string nonce(message.at("nonce").as_string());
    if (!by_nonce.contains(nonce)) {
      const std::string id = std::to_string(std::stoull(snowflake(testing::kWall)) + messages.size() + 1);
      by_nonce[nonce] = id;
      message["id"] = id;
      messages.push_back(message);
    }
    return reply(200, json::serialize(json::object{{"id", by_nonce[nonce]}, {"channel_id", "77"}}));
  }
};

struct DiscordDelivery : ::testing::Test {
  static Secret token() {
    Secret secret = Secret::literal("token");
    (void)secret.refresh();
    return secret;
  }
  Secret secret = token();
  RateLimits limits{{.per_second = 50}};
  Channel channel{{.api = "http://discord.test/api/v10", .name = "discord.alerts", .id = "77"}, secret, limits};
  Desk desk{channel};
  FakeDiscord discord;

  std::function<http::Answer(const http::Request&)> platform = [this](const http::Request& request) {
    return discord(request);
  };
  /// Fails the next `count` message creations with `answer`; `taken`: although it was taken.
  auto failing(http::Answer answer, int count = 1, bool taken = false) {
    return [this, answer, count, taken](const http::Request& request) mutable {
      if (request.method == "POST" && request.url.ends_with("/messages") && count-- > 0) {
        if (taken) discord(request);
        return answer;
      }
      return discord(request);
    };
  }
  /// What the broker hands back at the next attempt.
  std::vector<Part> known() const {
    std::map<uint32_t, Part> parts;
    for (const Begun& one : desk.begun) parts[one.part().part()] = one.part();
    for (const Settled& one : desk.settled) {
      for (const Part& part : one.parts()) parts[part.part()] = part;
    }
    std::vector<Part> out;
    for (auto& [number, part] : parts) out.push_back(part);
    return out;
  }
};

TEST_F(DiscordDelivery, SettlesWithIdAndLinkOnceTheMessageStands) {
  desk.deliver(note("t", "b"));
  desk.run(platform);
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), DELIVERED);
  EXPECT_EQ(desk.settled[0].parts(0).link(),
            "https://discord.com/channels/5/77/" + desk.settled[0].parts(0).message_id());
  EXPECT_EQ(desk.begun.size(), 1U);
}

TEST_F(DiscordDelivery, SendsNothingBeforeTheBrokerKnowsItBegan) {
  desk.acknowledging = false;
  desk.deliver(note("t", "b"));
  desk.run(platform);  // learns the channel
  EXPECT_EQ(discord.creates, 0);
  ASSERT_EQ(desk.begun.size(), 1U);
  desk.acknowledge();
  desk.collect();
  desk.run(platform);
  EXPECT_EQ(discord.creates, 1);
  EXPECT_EQ(desk.settled.size(), 1U);
}

TEST_F(DiscordDelivery, ReturnsCreditForEachSettledDelivery) {
  ASSERT_EQ(desk.credits.size(), 1U);
  EXPECT_EQ(desk.credits[0].count(), 32U);
  desk.deliver(note("t", "b"));
  desk.run(platform);
  ASSERT_EQ(desk.credits.size(), 2U);
  EXPECT_EQ(desk.credits[1].count(), 1U);
}

TEST_F(DiscordDelivery, ATimeoutAfterTheMessageWasTakenMakesNoSecondMessage) {
  const Signal signal = note("t", "b");
  desk.deliver(signal);
  desk.run(failing(failure(http::Sent::Maybe), 1, true));
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), NOT_NOW);
  desk.pass(Millis{1000});
  desk.deliver(signal, known(), 2);
  desk.run(platform);
  EXPECT_EQ(desk.settled.back().outcome(), DELIVERED);
  EXPECT_EQ(discord.messages.size(), 1U);
  EXPECT_EQ(desk.begun.size(), 1U) << "the same nonce needs no second begun";
}

TEST_F(DiscordDelivery, ARedeliveryAfterTheNoncesWindowFindsTheMessageInTheHistory) {
  const Signal signal = note("t", "b");
  desk.deliver(signal);
  desk.run(failing(failure(http::Sent::Maybe), 1, true));
  discord.by_nonce.clear();  // Discord forgot
  desk.pass(Millis{10 * 60 * 1000});
  desk.deliver(signal, known(), 2);
  desk.run(platform);
  EXPECT_EQ(desk.settled.back().outcome(), DELIVERED);
  EXPECT_EQ(desk.settled.back().parts(0).message_id(), std::string(discord.messages[0].at("id").as_string()));
  EXPECT_EQ(discord.messages.size(), 1U);
}

TEST_F(DiscordDelivery, ARedeliveryThatFindsNothingInTheHistorySendsAgain) {
  const Signal signal = note("t", "b");
  desk.deliver(signal);
  desk.run(failing(failure(http::Sent::Maybe), 1, false));
  desk.pass(Millis{10 * 60 * 1000});
  desk.deliver(signal, known(), 2);
  desk.run(platform);
  EXPECT_EQ(desk.settled.back().outcome(), DELIVERED);
  EXPECT_EQ(discord.messages.size(), 1U);
  EXPECT_EQ(desk.begun.size(), 2U) << "it begins anew";
}

TEST_F(DiscordDelivery, PartsThatAreDoneAreNotSentAgain) {
  const Signal signal = note("long", std::string(9000, 'x'));
  desk.deliver(signal);
  int creates = 0;
  desk.run([&](const http::Request& request) {
    return request.method == "POST" && ++creates == 2 ? failure(http::Sent::No) : discord(request);
  });
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), NOT_NOW);
  // A fresh process, which knows only what the broker tells.
  Channel fresh({.api = "http://discord.test/api/v10", .name = "discord.alerts", .id = "77"}, secret, limits);
  Desk other(fresh);
  other.now = desk.now;
  const auto parts = known();
  EXPECT_TRUE(parts[0].done());
  EXPECT_EQ(parts[1].begun_ms(), 0) << "surely not sent, and said so";
  other.deliver(signal, parts, 2);
  other.run(platform);
  EXPECT_EQ(other.settled.back().outcome(), DELIVERED);
  EXPECT_EQ(other.settled.back().parts_size(), 3);
  EXPECT_EQ(discord.messages.size(), 3U);
  EXPECT_EQ(discord.creates, 3);
}

TEST_F(DiscordDelivery, WaitsOutAShortRateLimitWithoutGivingTheDeliveryBack) {
  desk.deliver(note("t", "b"));
  desk.run(failing(
      reply(429, R"({"message":"You are being rate limited.","retry_after":1.5,"global":false})",
            {{"X-RateLimit-Scope", "user"}, {"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset-After", "1.5"}})));
  EXPECT_TRUE(desk.settled.empty());
  desk.pass(Millis{1000});
  desk.run(platform);
  EXPECT_TRUE(desk.settled.empty());
  desk.pass(Millis{600});
  desk.run(platform);
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), DELIVERED);
}

TEST_F(DiscordDelivery, ASubLimitDelaysOnlyTheRequestItMet) {
  desk.deliver(note("first", "b"));
  desk.deliver(note("second", "b"));
  desk.run(failing(
      reply(429, R"({"message":"limited","retry_after":5,"global":false})",
            {{"X-RateLimit-Scope", "user"}, {"X-RateLimit-Remaining", "3"}, {"X-RateLimit-Reset-After", "1"}})));
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].delivery(), 2U);
  desk.pass(Millis{5100});
  desk.run(platform);
  ASSERT_EQ(desk.settled.size(), 2U);
  EXPECT_EQ(desk.settled[1].outcome(), DELIVERED);
}

TEST_F(DiscordDelivery, ALongRateLimitGoesBackWithTheTimeThatWasAsked) {
  desk.deliver(note("t", "b"));
  desk.run(failing(
      reply(429, R"({"message":"limited","retry_after":120,"global":true})", {{"X-RateLimit-Scope", "global"}})));
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), NOT_NOW);
  EXPECT_GE(desk.settled[0].delay_ms(), 120'000U);
}

TEST_F(DiscordDelivery, AServerErrorIsTriedAgainWithTheSameNonce) {
  const Signal signal = note("t", "b");
  for (const bool taken : {true, false}) {
    desk.deliver(signal, known());
    desk.run(failing(reply(502, "<html>bad gateway</html>"), 1, taken));
    EXPECT_EQ(desk.settled.back().outcome(), NOT_NOW);
  }
  desk.deliver(signal, known(), 3);
  desk.run(platform);
  EXPECT_EQ(desk.settled.back().outcome(), DELIVERED);
  EXPECT_EQ(discord.messages.size(), 1U);
}

TEST_F(DiscordDelivery, SaysWhyItTriesAgainWhenThatChangesAndNotEachTime) {
  const Signal signal = note("t", "b");
  desk.courier.said.clear();
  uint32_t attempt = 0;
  for (const int status : {503, 503, 503, 502}) {
    desk.deliver(signal, known(), ++attempt);
    desk.run([&](const http::Request&) { return reply(status, "{}"); });
    EXPECT_EQ(desk.settled.back().outcome(), NOT_NOW);
    EXPECT_NE(desk.settled.back().cause().find(std::to_string(status)), std::string::npos);
  }
  ASSERT_EQ(desk.courier.said.size(), 2U);
  EXPECT_NE(desk.courier.said[0].find("503"), std::string::npos) << desk.courier.said[0];
  EXPECT_NE(desk.courier.said[1].find("502"), std::string::npos) << desk.courier.said[1];
}

TEST_F(DiscordDelivery, AWrongTokenOpensTheCircuitUntilTheTokenChanges) {
  desk.deliver(note("one", "b"));
  desk.deliver(note("two", "b"));
  desk.run([](const http::Request&) { return reply(401, R"({"message":"401: Unauthorized","code":0})"); });
  ASSERT_EQ(desk.circuits.size(), 1U);
  EXPECT_TRUE(desk.circuits[0].open());
  EXPECT_NE(desk.circuits[0].why().find("401"), std::string::npos);
  EXPECT_EQ(desk.circuits[0].why().find("token\""), std::string::npos);
  ASSERT_EQ(desk.settled.size(), 2U);
  EXPECT_EQ(desk.settled[0].outcome(), NOT_NOW);
  EXPECT_EQ(desk.requests.size(), 1U) << "one request is enough to know";
  const size_t credits = desk.credits.size();
  desk.courier.token_changed(desk.now);
  desk.collect();
  ASSERT_EQ(desk.circuits.size(), 2U);
  EXPECT_FALSE(desk.circuits[1].open());
  EXPECT_GT(desk.credits.size(), credits);
  desk.deliver(note("three", "b"));
  desk.run(platform);
  EXPECT_EQ(desk.settled.back().outcome(), DELIVERED);
}

TEST_F(DiscordDelivery, ARefusalOfTheTokenBeforeDoesNotOpenTheCircuit) {
  desk.deliver(note("a", ""));
  desk.courier.token_changed(desk.now);  // while the first request is in flight
  ASSERT_TRUE(desk.answer(reply(401, R"({"message":"401: Unauthorized","code":0})")));
  EXPECT_TRUE(desk.circuits.empty());
  desk.run(platform);
  ASSERT_EQ(desk.settled.size(), 1u);
  EXPECT_EQ(desk.settled[0].outcome(), DELIVERED);
}

TEST_F(DiscordDelivery, ARequestThatWaitsGoesWithTheTokenThatChangedMeanwhile) {
  desk.acknowledging = false;
  desk.deliver(note("a", ""));
  desk.run(platform);
  ASSERT_EQ(desk.begun.size(), 1u);
  secret = Secret::literal("another");
  (void)secret.refresh();
  desk.courier.token_changed(desk.now);
  desk.acknowledge();
  desk.collect();
  desk.acknowledging = true;
  desk.run(platform);
  ASSERT_EQ(desk.settled.size(), 1u);
  for (const auto& [name, value] : desk.requests.back().headers) {
    if (name == "Authorization") {
      EXPECT_EQ(value, "Bot another");
    }
  }
}

TEST_F(DiscordDelivery, ATokenOfWhichNoRequestCanBeFormedOpensTheCircuit) {
  desk.deliver(note("t", "b"));
  desk.answer(http::SendFailure{.error = {"a header with a line break"}, .malformed = true});
  ASSERT_EQ(desk.circuits.size(), 1U);
  EXPECT_NE(desk.circuits[0].why().find("bot token"), std::string::npos);
}

TEST_F(DiscordDelivery, ANewSessionIsToldThatTheCircuitIsOpen) {
  desk.deliver(note("one", "b"));
  desk.run([](const http::Request&) { return reply(401, "{}"); });
  const size_t credits = desk.credits.size();
  desk.courier.lost();
  desk.courier.opened(desk.now);
  desk.collect();
  EXPECT_EQ(desk.circuits.size(), 2U);
  EXPECT_TRUE(desk.circuits[1].open());
  EXPECT_EQ(desk.credits.size(), credits);
}

TEST_F(DiscordDelivery, AMissingPermissionForEmbedsFallsBackToPlainMessagesAndSaysSoOnce) {
  const auto no_embeds = [&](const http::Request& request) {
    return request.method == "POST" && request.body.find("\"embeds\"") != std::string::npos ? reply(403, kPermissions)
                                                                                            : discord(request);
  };
  desk.deliver(note("one", "b"));
  desk.run(no_embeds);
  desk.deliver(note("two", "b"));
  desk.run(no_embeds);
  ASSERT_EQ(desk.settled.size(), 2U);
  EXPECT_EQ(desk.settled[0].outcome(), DELIVERED);
  EXPECT_EQ(desk.settled[1].outcome(), DELIVERED);
  EXPECT_EQ(desk.courier.said.size(), 1U);
  EXPECT_EQ(desk.requests.size(), 1U + 2 + 1) << "the second does not try embeds again";
}

TEST_F(DiscordDelivery, AMissingPermissionForFilesKeepsTheEmbeds) {
  const auto no_files = [&](const http::Request& request) {
    return request.body.find("files[0]") != std::string::npos ? reply(403, kPermissions) : discord(request);
  };
  desk.deliver(note("long", std::string(50'000, 'x')));
  desk.run(no_files);
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), DELIVERED);
  EXPECT_TRUE(discord.messages.at(0).contains("embeds"));
}

TEST_F(DiscordDelivery, WhatDiscordRefusesInEveryFormIsGivenUpWithItsReason) {
  desk.deliver(note("one", "b"));
  desk.run(failing(reply(403, kPermissions), 10));
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), GIVEN_UP);
  EXPECT_EQ(desk.settled[0].cause(), "discord 50013: Missing Permissions");
}

TEST_F(DiscordDelivery, AnUnknownChannelIsGivenUp) {
  desk.deliver(note("one", "b"));
  desk.run(failing(reply(404, R"({"message":"Unknown Channel","code":10003})")));
  EXPECT_EQ(desk.settled.at(0).cause(), "discord 10003: Unknown Channel");
}

TEST_F(DiscordDelivery, AThreadKeyBeginsAThreadOnItsFirstMessage) {
  Signal first = note("first", "b"), second = note("second", "b");
  first.set_thread("k");
  second.set_thread("k");
  desk.deliver(first);
  desk.run(platform);
  const std::string root(discord.messages.at(0).at("id").as_string());
  EXPECT_TRUE(desk.requests.back().url.ends_with("/channels/77/messages/" + root + "/threads"));
  desk.deliver(second);
  desk.run(platform);
  EXPECT_TRUE(desk.requests.back().url.ends_with("/channels/" + root + "/messages"));
  EXPECT_EQ(desk.settled.back().parts(0).place(), root);
}

TEST_F(DiscordDelivery, WhatIsToBeAnsweredHereGoesToTheChannelAndNotIntoAThread) {
  Signal first = note("first", "b"), question = note("deploy?", "b"), last = note("last", "b");
  for (Signal* signal : {&first, &question, &last}) signal->set_thread("k");
  question.set_needs_response(true);
  for (const Signal& signal : {first, question, last}) {
    desk.deliver(signal);
    desk.run(platform);
  }
  ASSERT_EQ(desk.settled.size(), 3U);
  EXPECT_EQ(desk.settled[1].parts(0).place(), "");
  EXPECT_EQ(desk.settled[2].parts(0).place(), discord.messages.at(0).at("id").as_string());
}

TEST_F(DiscordDelivery, AThreadIsFoundAgainAfterARestart) {
  Signal first = note("first", "b"), second = note("second", "b");
  first.set_thread("k");
  second.set_thread("k");
  desk.deliver(first);
  desk.run(platform);
  discord.messages[0]["thread"] = json::object{{"id", discord.messages[0].at("id")}};
  Channel fresh({.api = "http://discord.test/api/v10", .name = "discord.alerts", .id = "77"}, secret, limits);
  Desk other(fresh);
  other.deliver(second);
  other.run(platform);
  EXPECT_TRUE(other.requests.back().url.ends_with("/channels/" + std::string(discord.messages[0].at("id").as_string()) +
                                                  "/messages"));
}

TEST_F(DiscordDelivery, WithoutPermissionForThreadsMessagesStayInTheChannel) {
  Signal first = note("first", "b"), second = note("second", "b");
  first.set_thread("k");
  second.set_thread("k");
  const auto no_threads = [&](const http::Request& request) {
    return request.url.ends_with("/threads") ? reply(403, kPermissions) : discord(request);
  };
  desk.deliver(first);
  desk.run(no_threads);
  desk.deliver(second);
  desk.run(no_threads);
  ASSERT_EQ(desk.settled.size(), 2U);
  EXPECT_EQ(desk.settled[1].outcome(), DELIVERED);
  EXPECT_EQ(discord.messages.size(), 2U);
  EXPECT_EQ(desk.courier.said.size(), 1U);
}

TEST_F(DiscordDelivery, AnAnswerThatComesAfterTheSessionEndedIsRemembered) {
  const Signal signal = note("t", "b");
  desk.deliver(signal);
  desk.answer(reply(200, R"({"id":"77","guild_id":"5"})"));
  ASSERT_TRUE(desk.request);
  const auto late = discord(desk.request->request);
  desk.courier.lost();
  desk.courier.opened(desk.now);
  desk.collect();
  desk.deliver(signal, known(), 2);
  desk.answer(late);
  desk.run(platform);
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), DELIVERED);
  EXPECT_EQ(discord.creates, 1);
}

TEST_F(DiscordDelivery, AStaleDeliveryIsDroppedAndItsCreditReturned) {
  desk.acknowledging = false;
  desk.deliver(note("t", "b"));
  desk.run(platform);
  Stale stale;
  stale.set_channel("discord.alerts");
  stale.add_deliveries(1);
  desk.courier.received(Frame::kStale, stale.SerializeAsString(), desk.now);
  desk.collect();
  EXPECT_TRUE(desk.courier.idle());
  EXPECT_TRUE(desk.settled.empty());
  EXPECT_EQ(desk.credits.back().count(), 1U);
}

TEST_F(DiscordDelivery, WhatExpiresWhileItWaitsIsSettledAsExpired) {
  Signal signal = note("t", "b");
  signal.set_expires_ms(testing::kWall + 1000);
  limits.answered({"POST messages", "77"}, *reply(429, R"({"retry_after":5,"global":true})"), desk.now.mono);
  desk.deliver(signal);
  desk.pass(Millis{6000});
  desk.run(platform);
  EXPECT_EQ(desk.settled.at(0).outcome(), EXPIRED);
  EXPECT_EQ(discord.creates, 0);
}

TEST_F(DiscordDelivery, DrainFinishesWhatIsInFlightAndLeavesTheRest) {
  desk.deliver(note("one", "b"));
  desk.run(platform);
  desk.deliver(note("two", "b"));
  desk.deliver(note("three", "b"));
  ASSERT_TRUE(desk.request);
  desk.courier.drain();
  desk.run(platform);
  EXPECT_TRUE(desk.courier.idle());
  EXPECT_EQ(desk.settled.size(), 2U);
}

struct WebhookDelivery : DiscordDelivery {
  static Secret url() {
    Secret secret = Secret::literal("http://discord.test/api/webhooks/9/abc");
    (void)secret.refresh();
    return secret;
  }
  Secret hook = url();
  Channel webhook{{.api = "http://discord.test/api/v10", .name = "discord.chat", .webhook = true}, hook, limits};
  Desk post{webhook, "discord.chat"};
  int creates = 0;
  http::Answer ok(const http::Request& request) {
    if (request.method == "GET") return reply(200, R"({"guild_id":"5","channel_id":"78"})");
    ++creates;
    EXPECT_EQ(request.url, "http://discord.test/api/webhooks/9/abc?wait=true");
    return reply(200, R"({"id":"3","channel_id":"78"})");
  }
};

TEST_F(WebhookDelivery, SettlesWithTheLink) {
  post.deliver(note("t", "b"));
  post.run([&](const http::Request& request) { return ok(request); });
  EXPECT_EQ(post.settled.at(0).parts(0).link(), "https://discord.com/channels/5/78/3");
}

TEST_F(WebhookDelivery, WhatPerhapsArrivedIsNotSentAgainAndSaidToBeUnknown) {
  post.deliver(note("t", "b"));
  post.run([&](const http::Request& request) {
    return request.method == "GET" ? ok(request) : failure(http::Sent::Maybe, "timed out");
  });
  ASSERT_EQ(post.settled.size(), 1U);
  EXPECT_EQ(post.settled[0].outcome(), UNKNOWN);
  EXPECT_NE(post.settled[0].cause().find("timed out"), std::string::npos);
}

TEST_F(WebhookDelivery, MarksAsARepeatThePartThatPerhapsArrivedAndNoOther) {
  Signal question = note("long", "");
  Note payload;
  payload.set_title("long");
  for (int i = 0; i < 1200; ++i) *payload.mutable_body() += "word" + std::to_string(i) + " ";
  question.set_payload(payload.SerializeAsString());
  question.set_needs_response(true);
  std::vector<bool> marked;
  bool silent = false;
  const auto platform = [&](const http::Request& request) {
    if (request.method == "GET") return reply(200, R"({"channel_id":"6"})");
    marked.push_back(request.body.find("(repeat)") != std::string::npos);
    silent = marked.size() == 2;
    return silent ? failure(http::Sent::Maybe) : reply(200, R"({"id":"1","channel_id":"6"})");
  };
  post.deliver(question);
  post.run(platform);
  ASSERT_EQ(post.settled.size(), 1u);
  ASSERT_EQ(post.settled[0].outcome(), NOT_NOW);
  post.deliver(question, {post.settled[0].parts().begin(), post.settled[0].parts().end()}, 2);
  post.run(platform);
  ASSERT_EQ(post.settled.size(), 2u);
  EXPECT_EQ(post.settled[1].outcome(), DELIVERED);
  ASSERT_GE(marked.size(), 4u);
  EXPECT_EQ(std::count(marked.begin(), marked.end(), true), 1);
  EXPECT_TRUE(marked[2]) << "the second part, for the second time";
}

TEST_F(WebhookDelivery, ADeletedWebhookOpensTheCircuit) {
  post.deliver(note("t", "b"));
  post.run([&](const http::Request&) { return reply(404, R"({"message":"Unknown Webhook","code":10015})"); });
  ASSERT_EQ(post.circuits.size(), 1U);
  EXPECT_EQ(post.circuits[0].why().find("abc"), std::string::npos) << "the webhook's URL is a secret";
}

}  // namespace
}  // namespace detent::discord
