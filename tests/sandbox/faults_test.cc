#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sandbox/pace.h"
#include "tests/sandbox/city.h"
#include "tests/support/request_check.h"

namespace detent::sandbox {
namespace {

class Faulty : public City {
 protected:
  http::Answer post(const std::string& text, Millis deadline = Millis(300)) {
    return client_.send(
        {.method = "POST",
         .url = sandbox_.url() + "/discord/api/v10/channels/11/messages",
         .headers = {{"Authorization", "Bot t"}, {"User-Agent", "test"}, {"Content-Type", "application/json"}},
         .body = json::serialize(json::object{{"content", text}}),
         .deadline = deadline});
  }
  std::size_t taken() { return there("discord", "11").size(); }
};

TEST_F(Faulty, AResetLosesTheMessage) {
  fault({{"service", "discord"}, {"kind", "reset"}});
  const auto answer = post("x");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().sent, http::Sent::Maybe);
  EXPECT_EQ(taken(), 0u);
  EXPECT_TRUE(post("y")) << "a fault is met as often as ordered";
  EXPECT_EQ(taken(), 1u);
}

TEST_F(Faulty, AcceptThenResetTakesTheMessage) {
  fault({{"service", "discord"}, {"kind", "accept-then-reset"}});
  EXPECT_FALSE(post("x"));
  EXPECT_EQ(taken(), 1u);
}

TEST_F(Faulty, ATimeoutNeverAnswersAndTakesNothing) {
  fault({{"service", "discord"}, {"kind", "timeout"}});
  const auto answer = post("x");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error.code, ETIMEDOUT);
  EXPECT_EQ(taken(), 0u);
  fault({{"service", "discord"}, {"kind", "accept-then-timeout"}});
  EXPECT_FALSE(post("x"));
  EXPECT_EQ(taken(), 1u);
}

TEST_F(Faulty, SlowAnswersLate) {
  fault({{"service", "discord"}, {"kind", "slow"}, {"seconds", 0.2}});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(post("x", Millis(10'000)));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, Millis(200));
}

TEST_F(Faulty, TooManyRequestsComeInEachOfTheServicesScopes) {
  fault({{"service", "discord"}, {"kind", "429"}, {"retry_after", 1.5}, {"scope", "sublimit"}});
  Said sub = discord("POST", "/channels/11/messages", {{"content", "x"}});
  EXPECT_EQ(sub.status, 429);
  EXPECT_NE(sub.header("X-RateLimit-Remaining"), "0");
  EXPECT_EQ(sub.object()["retry_after"], 1.5);
  EXPECT_EQ(sub.header("Retry-After"), "2");
  fault({{"service", "discord"}, {"kind", "429"}, {"retry_after", 2}});
  Said plain = discord("POST", "/channels/11/messages", {{"content", "x"}});
  EXPECT_EQ(plain.header("X-RateLimit-Remaining"), "0");
  EXPECT_EQ(plain.header("X-RateLimit-Reset-After"), "2.000");
  fault({{"service", "discord"}, {"kind", "429"}, {"scope", "shared"}});
  EXPECT_EQ(discord("POST", "/channels/11/messages", {{"content", "x"}}).header("X-RateLimit-Scope"), "shared");
  fault({{"service", "telegram"}, {"kind", "429"}, {"retry_after", 7}});
  Said telegram_flood = telegram("sendMessage", {{"chat_id", 5}, {"text", "x"}});
  EXPECT_EQ(text_of(telegram_flood.object(), "description"), "Too Many Requests: retry after 7");
}

TEST_F(Faulty, AFaultHitsOnlyTheChannelAndMethodItNames) {
  fault({{"service", "discord"}, {"kind", "500"}, {"count", 2}, {"channel", "11"}});
  EXPECT_EQ(discord("POST", "/channels/12/messages", {{"content", "x"}}).status, 200);
  EXPECT_EQ(discord("POST", "/channels/11/messages", {{"content", "x"}}).status, 500);
  EXPECT_EQ(discord("POST", "/channels/11/messages", {{"content", "x"}}).status, 500);
  EXPECT_EQ(discord("POST", "/channels/11/messages", {{"content", "x"}}).status, 200);
  fault({{"service", "telegram"}, {"kind", "401"}});
  EXPECT_EQ(telegram("getUpdates").status, 200) << "polling does not use up a fault meant for sends";
  EXPECT_EQ(telegram("sendMessage", {{"chat_id", 5}, {"text", "x"}}).status, 401);
  fault({{"service", "telegram"}, {"kind", "500"}, {"method", "getUpdates"}});
  EXPECT_EQ(telegram("getUpdates").status, 500);
}

TEST_F(Faulty, WrongOrdersAreRefusedAndResetForgetsAll) {
  EXPECT_EQ(control("faults", {{"service", "discord"}, {"kind", "explode"}}).status, 400);
  EXPECT_EQ(control("faults", {{"service", "mail"}, {"kind", "500"}}).status, 400);
  EXPECT_EQ(control("faults", {{"service", "discord"}, {"kind", "500"}, {"count", 0}}).status, 400);
  EXPECT_EQ(control("faults", {{"service", "discord"}, {"kind", "500"}, {"cuont", 1}}).status, 400);
  EXPECT_EQ(ask("POST", "/control/faults", "no json").status, 400);
  fault({{"service", "discord"}, {"kind", "500"}, {"count", 100}});
  EXPECT_EQ(ask("GET", "/control/faults").array().size(), 1u);
  control("reset");
  EXPECT_EQ(discord("POST", "/channels/11/messages", {{"content", "x"}}).status, 200);
}

TEST(Pace, IsReadAsRequestsPerSeconds) {
  ASSERT_TRUE(parse_pace("5/0.5"));
  EXPECT_EQ(parse_pace("5/0.5")->window, Millis(500));
  EXPECT_EQ(parse_pace("off")->requests, 0);
  for (const char* wrong : {"", "5", "5/", "/5", "0/5", "5/0", "5/x", "5/5x", "-1/5"})
    EXPECT_FALSE(parse_pace(wrong)) << wrong;
}

class Recorded : public City {
 protected:
  Recorded() : City({.listen = "127.0.0.1:0", .record = file()}) {}
  ~Recorded() override { std::filesystem::remove(file()); }
  static std::string file() { return testing::TempDir() + "detent-record-" + std::to_string(::getpid()) + ".jsonl"; }
  static std::vector<json::object> lines() {
    std::vector<json::object> all;
    std::ifstream in(file());
    for (std::string line; std::getline(in, line);) all.push_back(json::parse(line).as_object());
    return all;
  }
  /// One of each kind of request a well-behaved sender makes.
  void ask_well() {
    const json::object quiet{{"parse", json::array{}}};
    Said made = discord("POST", "/channels/11/messages",
                        {{"content", "Disk 95 %"},
                         {"nonce", "n1"},
                         {"enforce_nonce", true},
                         {"allowed_mentions", quiet},
                         {"flags", 4096},
                         {"embeds",
                          {{{"title", "Disk"},
                            {"description", "95 %"},
                            {"color", 16711680},
                            {"timestamp", "2026-11-22T14:02:07Z"},
                            {"footer", {{"text", "robo-server-1"}}},
                            {"fields", {{{"name", "disk"}, {"value", "/"}, {"inline", true}}}}}}}});
    const std::string id = text_of(made.object(), "id");
    discord("PATCH", "/channels/11/messages/" + id, {{"content", "Disk 96 %"}, {"allowed_mentions", quiet}});
    discord("POST", "/channels/11/messages/" + id + "/threads", {{"name", "disk"}, {"auto_archive_duration", 1440}});
    discord("GET", "/channels/11/messages?limit=50");
    discord("GET", "/users/@me");
    discord("PUT", "/channels/11/messages/pins/" + id);
    discord("DELETE", "/channels/11/messages/" + id);
    discord("POST", "/webhooks/12/secret-of-the-hook?wait=true", {{"content", "x"}, {"allowed_mentions", quiet}}, "");
    const http::Multipart form = http::multipart(
        {{.name = "payload_json",
          .body = R"({"content":"long","nonce":"n2","enforce_nonce":true,"allowed_mentions":{"parse":[]},)"
                  R"("attachments":[{"id":"0","filename":"a.md"}]})",
          .content_type = "application/json"},
         {.name = "files[0]", .body = "text", .filename = "a.md", .content_type = "text/markdown"}});
    ask("POST", "/discord/api/v10/channels/11/messages", form.body, form.content_type);
    telegram("getMe", {}, "1:secret-of-the-bot");
    telegram("sendMessage",
             {{"chat_id", 5},
              {"text", "<b>a</b>"},
              {"parse_mode", "HTML"},
              {"disable_notification", true},
              {"reply_markup", {{"inline_keyboard", {{{{"text", "Yes"}, {"callback_data", "y"}}}}}}}},
             "1:secret-of-the-bot");
    telegram("editMessageText", {{"chat_id", 5}, {"message_id", 1}, {"text", "b"}}, "1:secret-of-the-bot");
    const http::Multipart document =
        http::multipart({{.name = "chat_id", .body = "5"}, {.name = "document", .body = "x", .filename = "a.md"}});
    ask("POST", "/telegram/bot1:secret-of-the-bot/sendDocument", document.body, document.content_type, "");
    telegram("getUpdates", {{"timeout", 0}}, "1:secret-of-the-bot");
  }
};

TEST_F(Recorded, WritesEachRequestWithoutItsSecrets) {
  ask_well();
  const auto all = lines();
  ASSERT_EQ(all.size(), 14u);
  EXPECT_EQ(all[0].at("path"), "/channels/11/messages");
  EXPECT_EQ(all[0].at("body").at("nonce"), "n1");
  EXPECT_EQ(all[0].at("headers").at("User-Agent"), "DiscordBot (https://example.org, 1)");
  EXPECT_EQ(all[3].at("path"), "/channels/11/messages?limit=50");
  EXPECT_EQ(all[7].at("path"), "/webhooks/12/TOKEN?wait=true");
  EXPECT_EQ(all[8].at("body").at("nonce"), "n2");
  EXPECT_EQ(all[10].at("path"), "/sendMessage");
  EXPECT_EQ(all[12].at("body").at("document"), "attach://a.md");
  for (const json::object& line : all) {
    EXPECT_EQ(json::serialize(line).find("secret"), std::string::npos);
    EXPECT_EQ(line.at("status").to_number<int>() / 100, 2) << json::serialize(line);
  }
  fault({{"service", "discord"}, {"kind", "429"}});
  discord("GET", "/users/@me");
  EXPECT_EQ(lines().back().at("fault"), "429");
  EXPECT_EQ(lines().back().at("status"), 429);
}

TEST_F(Recorded, PassesTheCheckAgainstThePublishedApis) {
  ask_well();
  size_t count = 0;
  EXPECT_THAT(requests::check_record(file(), count), ::testing::IsEmpty());
  EXPECT_EQ(count, 14u);
}

TEST(Record, SaysWhenItCannotWrite) {
  EXPECT_THROW(Sandbox({.listen = "127.0.0.1:0", .record = "/no/such/folder/x"}), Failure);
}

}  // namespace
}  // namespace detent::sandbox
