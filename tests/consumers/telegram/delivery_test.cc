#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "consumers/telegram/chat.h"
#include "tests/consumers/desk.h"

namespace detent::telegram {
namespace {

namespace json = boost::json;
using testing::Desk;
using testing::failure;
using testing::note;
using testing::reply;

constexpr const char* kOk = R"({"ok":true,"result":{"message_id":7,"chat":{"id":-1001234,"type":"supergroup"}}})";

struct TelegramDelivery : ::testing::Test {
  static Secret token() {
    Secret secret = Secret::literal("1:token");
    (void)secret.refresh();
    return secret;
  }
  Secret secret = token();
  Chat chat{{.api = "http://telegram.test", .name = "telegram", .chat = 42}, secret};
  Desk desk{chat, "telegram"};

  static Signal question() {
    Signal signal = note("deploy?", "yes or no");
    signal.set_needs_response(true);
    return signal;
  }
  std::vector<Part> known() const { return {desk.settled.back().parts().begin(), desk.settled.back().parts().end()}; }
  static json::object body(const http::Request& request) { return json::parse(request.body).as_object(); }
};

TEST_F(TelegramDelivery, SettlesWithIdAndLink) {
  desk.deliver(question());
  ASSERT_TRUE(desk.request);
  EXPECT_EQ(desk.request->request.url, "http://telegram.test/bot1:token/sendMessage");
  EXPECT_EQ(body(desk.request->request).at("chat_id").as_int64(), 42);
  desk.answer(reply(200, kOk));
  EXPECT_EQ(desk.settled.at(0).parts(0).message_id(), "7");
  EXPECT_EQ(desk.settled.at(0).parts(0).link(), "https://t.me/c/1234/7");
}

TEST_F(TelegramDelivery, AQuestionThatPerhapsArrivedIsSentAgainAndMarkedAsARepeat) {
  const Signal signal = question();
  desk.deliver(signal);
  desk.answer(failure(http::Sent::Maybe));
  EXPECT_EQ(desk.settled.at(0).outcome(), NOT_NOW);
  desk.deliver(signal, known(), 2);
  ASSERT_TRUE(desk.request);
  EXPECT_NE(body(desk.request->request).at("text").as_string().find("(repeat)"), json::string::npos);
  desk.answer(reply(200, kOk));
  EXPECT_EQ(desk.settled.back().outcome(), DELIVERED);
}

TEST_F(TelegramDelivery, ARestartedProcessMarksTheRepeatToo) {
  Part part;
  part.set_part(1);
  part.set_begun_ms(testing::kWall - 5000);
  desk.deliver(question(), {part}, 2);
  EXPECT_NE(body(desk.request->request).at("text").as_string().find("(repeat)"), json::string::npos);
}

TEST_F(TelegramDelivery, AnythingElseThatPerhapsArrivedIsUnknownAndSaidSo) {
  desk.deliver(note("t", "b"));
  desk.answer(failure(http::Sent::Maybe, "timed out"));
  EXPECT_EQ(desk.settled.at(0).outcome(), UNKNOWN);
  EXPECT_NE(desk.settled.at(0).cause().find("timed out"), std::string::npos);
  Part part;
  part.set_part(1);
  part.set_begun_ms(testing::kWall - 5000);
  desk.deliver(note("t", "b"), {part}, 2);
  EXPECT_EQ(desk.settled.at(1).outcome(), UNKNOWN);
  EXPECT_EQ(desk.requests.size(), 1U);
}

TEST_F(TelegramDelivery, WhatSurelyDidNotLeaveIsNotMarkedAsARepeat) {
  const Signal signal = question();
  desk.deliver(signal);
  desk.answer(failure(http::Sent::No, "connection refused"));
  EXPECT_EQ(desk.settled.at(0).outcome(), NOT_NOW);
  desk.deliver(signal, known(), 2);
  EXPECT_EQ(body(desk.request->request).at("text").as_string().find("(repeat)"), json::string::npos);
}

TEST_F(TelegramDelivery, AfterALostSessionAFailedAttemptCountsAsPerhapsArrived) {
  const Signal signal = note("t", "b");
  desk.deliver(signal);
  desk.courier.lost();
  desk.answer(failure(http::Sent::No, "connection refused"));
  desk.courier.opened(desk.now);
  desk.collect();
  Part part = desk.begun.back().part();
  desk.deliver(signal, {part}, 3);
  EXPECT_EQ(desk.requests.size(), 1U);
  EXPECT_EQ(desk.settled.back().outcome(), UNKNOWN);
}

TEST_F(TelegramDelivery, ARateLimitPausesTheChatForAsLongAsWasAsked) {
  desk.deliver(question());
  desk.answer(reply(
      429,
      R"({"ok":false,"error_code":429,"description":"Too Many Requests: retry after 3","parameters":{"retry_after":3}})"));
  EXPECT_FALSE(desk.request);
  desk.pass(Millis{2900});
  EXPECT_FALSE(desk.request);
  desk.pass(Millis{100});
  ASSERT_TRUE(desk.request);
  desk.answer(reply(200, kOk));
  EXPECT_EQ(desk.settled.at(0).outcome(), DELIVERED);
  EXPECT_EQ(desk.begun.size(), 1U);
}

TEST_F(TelegramDelivery, AnErrorOfTheServerItselfIsTriedAgainUnmarked) {
  const Signal signal = question();
  desk.deliver(signal);
  desk.answer(reply(500, R"({"ok":false,"error_code":500,"description":"Internal Server Error"})"));
  EXPECT_EQ(desk.settled.at(0).outcome(), NOT_NOW);
  EXPECT_EQ(known()[0].begun_ms(), 0);
}

TEST_F(TelegramDelivery, AnErrorOfAGatewayLeavesItOpen) {
  desk.deliver(note("t", "b"));
  desk.answer(reply(504, "<html>timeout</html>"));
  EXPECT_EQ(desk.settled.at(0).outcome(), UNKNOWN);
}

TEST_F(TelegramDelivery, AGroupThatBecameASupergroupIsFollowed) {
  desk.deliver(question());
  desk.answer(reply(
      400, R"({"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat",)"
           R"("parameters":{"migrate_to_chat_id":-100555}})"));
  ASSERT_TRUE(desk.request);
  EXPECT_EQ(body(desk.request->request).at("chat_id").as_int64(), -100555);
  desk.answer(reply(200, kOk));
  EXPECT_EQ(desk.settled.at(0).outcome(), DELIVERED);
  EXPECT_EQ(desk.courier.said.size(), 1U);
}

TEST_F(TelegramDelivery, HtmlThatCannotBeReadGoesAsPlainText) {
  desk.deliver(question());
  desk.answer(reply(
      400,
      R"({"ok":false,"error_code":400,"description":"Bad Request: can't parse entities: Unsupported start tag"})"));
  ASSERT_TRUE(desk.request);
  EXPECT_FALSE(body(desk.request->request).contains("parse_mode"));
  desk.answer(reply(200, kOk));
  EXPECT_EQ(desk.settled.at(0).outcome(), DELIVERED);
}

TEST_F(TelegramDelivery, ABlockedBotIsGivenUpWithTelegramsReason) {
  desk.deliver(question());
  desk.answer(reply(403, R"({"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"})"));
  EXPECT_EQ(desk.settled.at(0).outcome(), GIVEN_UP);
  EXPECT_EQ(desk.settled.at(0).cause(), "telegram 403: Forbidden: bot was blocked by the user");
}

TEST_F(TelegramDelivery, AWrongTokenOpensTheCircuitWithoutNamingIt) {
  desk.deliver(question());
  desk.answer(reply(401, R"({"ok":false,"error_code":401,"description":"Unauthorized"})"));
  ASSERT_EQ(desk.circuits.size(), 1U);
  EXPECT_EQ(desk.circuits[0].why().find("1:token"), std::string::npos);
}

TEST_F(TelegramDelivery, ATokenOfWhichNoRequestCanBeFormedOpensTheCircuit) {
  desk.deliver(question());
  desk.answer(http::SendFailure{.error = {"not a URL"}, .malformed = true});
  ASSERT_EQ(desk.circuits.size(), 1U);
  EXPECT_NE(desk.circuits[0].why().find("bot token"), std::string::npos);
  EXPECT_FALSE(desk.request);
}

TEST_F(TelegramDelivery, KeepsThePaceOfTheChat) {
  for (int i = 0; i < 6; ++i) desk.deliver(question());
  while (desk.answer(reply(200, kOk))) {
  }
  EXPECT_EQ(desk.settled.size(), 4U);
  desk.pass(Millis{4000});
  while (desk.answer(reply(200, kOk))) {
  }
  EXPECT_EQ(desk.settled.size(), 6U);
}

TEST_F(TelegramDelivery, WhatWasBegunAndNotSentGoesBackAsNotSentWhereItStops) {
  desk.acknowledging = false;
  desk.deliver(note("t", "b"));
  ASSERT_EQ(desk.begun.size(), 1U);
  ASSERT_FALSE(desk.request);
  desk.courier.drain();
  desk.collect();
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), NOT_NOW);
  ASSERT_EQ(desk.settled[0].parts_size(), 1);
  EXPECT_EQ(desk.settled[0].parts(0).part(), 1U);
  EXPECT_EQ(desk.settled[0].parts(0).begun_ms(), 0);
  EXPECT_TRUE(desk.courier.idle());
}

TEST_F(TelegramDelivery, WhatWaitsOutARateLimitGoesBackAsNotSentWhereItStops) {
  desk.deliver(note("t", "b"));
  desk.answer(reply(429, R"({"ok":false,"error_code":429,"parameters":{"retry_after":5}})"));
  ASSERT_TRUE(desk.settled.empty());
  desk.courier.drain();
  desk.collect();
  ASSERT_EQ(desk.settled.size(), 1U);
  EXPECT_EQ(desk.settled[0].outcome(), NOT_NOW);
  ASSERT_EQ(desk.settled[0].parts_size(), 1);
  EXPECT_EQ(desk.settled[0].parts(0).begun_ms(), 0);
}
}  // namespace
}  // namespace detent::telegram
