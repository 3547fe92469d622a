// What depends on the time, tested on the plain state, which is given the time.
#include <gtest/gtest.h>

#include "sandbox/discord_api.h"
#include "sandbox/telegram_api.h"

namespace detent::sandbox {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr Millis kStart{1'795'363'405'000};

Now after(Millis span) { return {Millis(1000) + span, kStart + span}; }

class DiscordInTime : public testing::Test {
 protected:
  json::object ask(std::string method, std::string path, json::object body, Now now) {
    http::Incoming in{.method = std::move(method), .body = json::serialize(body)};
    in.headers = {{"Authorization", "Bot t"}, {"User-Agent", "test"}};
    DiscordCall call = parse_discord_call(in, path);
    const http::Outgoing out = api_.answer(call, nullptr, now);
    status_ = out.status;
    return json::parse(out.body).as_object();
  }
  int status_ = 0;
  Discord server_{[](json::object) {}};
  DiscordApi api_{server_, {}};
};

TEST_F(DiscordInTime, AMessageOlderThanAnHourTakesFewEdits) {
  const std::string id = text_of(ask("POST", "/channels/11/messages", {{"content", "status"}}, after(Millis(0))), "id");
  const auto edit = [&](Now now) { return ask("PATCH", "/channels/11/messages/" + id, {{"content", "new"}}, now); };
  for (int i = 0; i < 10; ++i) edit(after(minutes(59)));
  EXPECT_EQ(status_, 200);
  for (int i = 0; i < 3; ++i) edit(after(hours(2)));
  EXPECT_EQ(status_, 200);
  EXPECT_EQ(edit(after(hours(2))).at("code"), 30046);
  EXPECT_EQ(status_, 429);
  edit(after(hours(2) + minutes(1)));
  EXPECT_EQ(status_, 200);
}

TEST_F(DiscordInTime, ANonceIsForgottenAfterSomeMinutes) {
  const json::object body{{"content", "x"}, {"nonce", "n"}, {"enforce_nonce", true}};
  const auto first = ask("POST", "/channels/11/messages", body, after(Millis(0))).at("id");
  EXPECT_EQ(ask("POST", "/channels/11/messages", body, after(minutes(4))).at("id"), first);
  EXPECT_NE(ask("POST", "/channels/11/messages", body, after(minutes(6))).at("id"), first);
}

TEST_F(DiscordInTime, ABucketIsFullAgainWhenItsWindowEnds) {
  DiscordApi paced(server_, {.channel = {1, Millis(5000)}, .global = {}});
  const auto send = [&](Now now) {
    http::Incoming in{.method = "POST", .body = R"({"content":"x"})"};
    in.headers = {{"Authorization", "Bot t"}, {"User-Agent", "test"}};
    DiscordCall call = parse_discord_call(in, "/channels/11/messages");
    return paced.answer(call, nullptr, now);
  };
  EXPECT_EQ(send(after(Millis(0))).status, 200);
  const http::Outgoing over = send(after(Millis(2000)));
  EXPECT_EQ(over.status, 429);
  EXPECT_EQ(*http::find_header(over.headers, "X-RateLimit-Reset-After"), "3.000");
  EXPECT_EQ(json::parse(over.body).at("retry_after"), 3.0);
  EXPECT_EQ(send(after(Millis(5000))).status, 200);
}

TEST(TelegramInTime, AMessageOlderThanTwoDaysIsNotDeleted) {
  Telegram telegram([](json::object) {}, [](const std::string&) {});
  TelegramApi api(telegram, {});
  const auto ask = [&](std::string method, json::object fields, Now now) {
    TelegramCall call{
        .token = "1:t", .method = std::move(method), .fields = fields, .chat = text_of(fields, "chat_id")};
    return api.answer(call, nullptr, now)->status;
  };
  ASSERT_EQ(ask("sendMessage", {{"chat_id", 5}, {"text", "a"}}, after(Millis(0))), 200);
  EXPECT_EQ(ask("deleteMessage", {{"chat_id", 5}, {"message_id", 1}}, after(hours(49))), 400);
  EXPECT_EQ(ask("deleteMessage", {{"chat_id", 5}, {"message_id", 1}}, after(hours(47))), 200);
}

}  // namespace
}  // namespace detent::sandbox
