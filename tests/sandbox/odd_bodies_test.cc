// Bodies no sender would write: whatever comes, there is an answer in the service's form and nothing is thrown.
#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "http/multipart.h"
#include "sandbox/discord_api.h"
#include "sandbox/telegram_api.h"
#include "sandbox/telegram_text.h"

namespace detent::sandbox {
namespace {

class Odd {
 public:
  explicit Odd(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }

  /// Any JSON, with keys that the services know.
  json::value value(int depth) {
    static constexpr std::string_view kKeys[] = {"content",
                                                 "embeds",
                                                 "title",
                                                 "description",
                                                 "fields",
                                                 "name",
                                                 "value",
                                                 "footer",
                                                 "text",
                                                 "author",
                                                 "color",
                                                 "timestamp",
                                                 "url",
                                                 "components",
                                                 "type",
                                                 "style",
                                                 "label",
                                                 "custom_id",
                                                 "options",
                                                 "allowed_mentions",
                                                 "parse",
                                                 "users",
                                                 "attachments",
                                                 "id",
                                                 "flags",
                                                 "nonce",
                                                 "enforce_nonce",
                                                 "message_reference",
                                                 "message_id",
                                                 "chat_id",
                                                 "reply_markup",
                                                 "inline_keyboard",
                                                 "callback_data",
                                                 "parse_mode",
                                                 "entities",
                                                 "offset",
                                                 "length",
                                                 "commands",
                                                 "command",
                                                 "reaction",
                                                 "emoji",
                                                 "caption",
                                                 "document",
                                                 "reply_parameters",
                                                 "allowed_updates",
                                                 "limit",
                                                 "timeout"};
    static constexpr std::string_view kTexts[] = {"",
                                                  " ",
                                                  "1",
                                                  "-5",
                                                  "HTML",
                                                  "MarkdownV2",
                                                  "<b>x",
                                                  "*a_",
                                                  "[{}]",
                                                  "{}",
                                                  "https://e.org",
                                                  "everyone",
                                                  "@everyone <@1>",
                                                  "2026-11-22T14:02:07Z",
                                                  "99999999999999999999",
                                                  "true",
                                                  "é😀"};
    switch (below(depth > 0 ? 9 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return std::int64_t(below(70'000)) - 10;
      case 3:
        return 1.5;
      case 4:
      case 5:
        return json::string(kTexts[below(std::size(kTexts))]);
      case 6: {
        json::array list;
        for (std::size_t i = below(4); i > 0; --i) list.push_back(value(depth - 1));
        return list;
      }
      default: {
        json::object object;
        for (std::size_t i = below(6); i > 0; --i) object[kKeys[below(std::size(kKeys))]] = value(depth - 1);
        return object;
      }
    }
  }
  json::object object() {
    while (true) {
      json::value any = value(5);
      if (any.is_object()) return std::move(any.get_object());
    }
  }
  std::string bytes(std::string_view alphabet, std::size_t most) {
    std::string text;
    for (std::size_t i = below(most); i > 0; --i) text += alphabet[below(alphabet.size())];
    return text;
  }

 private:
  std::mt19937 random_;
};

TEST(OddBodies, DiscordAnswersEachOfThem) {
  Odd odd(1);
  Discord server([](json::object) {});
  DiscordApi api(server, {.channel = {}, .global = {}});
  const auto ask = [&](const char* method, const std::string& path, const std::string& body) {
    http::Incoming in{.method = method, .body = body};
    in.headers = {{"Authorization", "Bot t"}, {"User-Agent", "test"}};
    DiscordCall call = parse_discord_call(in, path);
    return api.answer(call, nullptr, system_now());
  };
  std::string last;
  for (int round = 0; round < 4000; ++round) {
    const std::string body = json::serialize(odd.object());
    for (const auto& [method, path] : {std::pair{"POST", std::string("/channels/11/messages")},
                                       std::pair{"POST", std::string("/webhooks/11/t?wait=true")},
                                       std::pair{"PATCH", "/channels/11/messages/" + last},
                                       std::pair{"POST", "/channels/11/messages/" + last + "/threads"}}) {
      const http::Outgoing out = ask(method, path, body);
      ASSERT_LT(out.status, 500) << method << path << " " << body;
      if (out.status == 200 && path.ends_with("11/messages")) last = text_of(json::parse(out.body).as_object(), "id");
    }
  }
  EXPECT_FALSE(last.empty()) << "some of them should be messages";
}

TEST(OddBodies, TelegramAnswersEachOfThem) {
  Odd odd(2);
  Telegram telegram([](json::object) {}, [](const std::string&) {});
  TelegramApi api(telegram, {});
  int taken = 0;
  for (int round = 0; round < 4000; ++round) {
    for (const char* method : {"sendMessage", "editMessageText", "sendDocument", "setMyCommands", "setMessageReaction",
                               "editMessageReplyMarkup", "getUpdates", "answerCallbackQuery", "setWebhook"}) {
      TelegramCall call{.token = "1:t", .method = method, .fields = odd.object()};
      call.fields["chat_id"] = 5;
      call.fields["timeout"] = 0;
      if (odd.below(2)) call.fields["text"] = "x";
      if (odd.below(2)) call.fields["message_id"] = odd.below(20);
      call.chat = "5";
      const auto out = api.answer(call, nullptr, system_now());
      ASSERT_TRUE(out);
      ASSERT_LT(out->status, 500);
      taken += out->status == 200;
    }
  }
  EXPECT_GT(taken, 0);
}

TEST(OddBodies, MarkUpIsParsedOrRefusedAndEntitiesStayInside) {
  Odd odd(3);
  for (int round = 0; round < 30'000; ++round) {
    for (const char* mode : {"HTML", "MarkdownV2", "Markdown", ""}) {
      const std::string text = odd.bytes("<>/=\"' abcode&;#x12*_~|`[]()\\\n!.\xc3\xa9", 24);
      const auto parsed = parse_formatted(text, mode);
      if (!parsed) continue;
      ASSERT_TRUE(is_utf8(parsed->text)) << mode << ": " << text;
      for (const json::value& entity : parsed->entities) {
        const auto from = entity.at("offset").as_int64(), length = entity.at("length").as_int64();
        ASSERT_GE(from, 0);
        ASSERT_GT(length, 0);
        ASSERT_LE(from + length, std::int64_t(utf16_units(parsed->text))) << mode << ": " << text;
      }
    }
  }
}

TEST(OddBodies, MultipartIsReadOrRefused) {
  Odd odd(4);
  for (int round = 0; round < 30'000; ++round) {
    const std::string body = "--x" + odd.bytes("-x\r\n\r\n:;=\" nameContent-Disposition", 60) + "\r\n--x--";
    (void)http::parse_multipart("multipart/form-data; boundary=x", body);
    (void)http::parse_multipart("multipart/form-data;" + odd.bytes("boundary=x;\"\\ ", 20), body);
  }
}

}  // namespace
}  // namespace detent::sandbox
