#include <future>
#include <thread>

#include "sandbox/telegram_text.h"
#include "tests/sandbox/city.h"

namespace detent::sandbox {
namespace {

std::string why(Said& said) { return text_of(said.object(), "description"); }
json::object result(Said said) { return said.object().at("result").as_object(); }

using TelegramApiTest = City;

TEST_F(TelegramApiTest, SendsAMarkedUpMessage) {
  Said said = telegram("sendMessage", {{"chat_id", 5}, {"text", "<b>disk</b> &lt;95%&gt;"}, {"parse_mode", "HTML"}});
  ASSERT_EQ(said.status, 200) << why(said);
  const json::object message = result(said);
  EXPECT_EQ(message.at("text"), "disk <95%>");
  EXPECT_EQ(message.at("entities"), (json::array{{{"type", "bold"}, {"offset", 0}, {"length", 4}}}));
  EXPECT_EQ(message.at("chat").at("type"), "private");
  ASSERT_EQ(there("telegram", "5").size(), 1u);
}

TEST_F(TelegramApiTest, TakesFormsQueriesAndAnyCaseOfTheMethod) {
  EXPECT_EQ(
      ask("POST", "/telegram/bot1:t/SENDMESSAGE", "chat_id=5&text=a+b", "application/x-www-form-urlencoded").status,
      200);
  EXPECT_EQ(ask("GET", "/telegram/bot1:t/sendMessage?chat_id=5&text=c").status, 200);
  EXPECT_EQ(ask("GET", "/telegram/bot1:t/noSuchMethod").status, 404);
  EXPECT_EQ(ask("GET", "/telegram/bot1:bad/getMe").status, 401);
  EXPECT_EQ(there("telegram").at(0).at("text"), "a b");
}

TEST_F(TelegramApiTest, RefusesTextsInTheServicesWords) {
  const auto send = [&](std::string text, std::string mode) {
    Said said = telegram("sendMessage", {{"chat_id", 5}, {"text", text}, {"parse_mode", mode}});
    return said.status == 200 ? "sent" : why(said);
  };
  EXPECT_EQ(send("", ""), "Bad Request: message text is empty");
  EXPECT_EQ(send("<b> </b>", "HTML"), "Bad Request: text must be non-empty");
  EXPECT_EQ(send(std::string(4097, 'x'), ""), "Bad Request: message is too long");
  EXPECT_EQ(send("<b>" + std::string(4096, 'x') + "</b>", "HTML"), "sent") << "counted after parsing";
  EXPECT_EQ(send("a <div>", "HTML"),
            "Bad Request: can't parse entities: Unsupported start tag \"div\" at byte offset 2");
  EXPECT_EQ(send("<b>x", "HTML"),
            "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"");
  EXPECT_EQ(send("<b>x</a>", "HTML"),
            "Bad Request: can't parse entities: Unmatched end tag at byte offset 4, expected \"</b>\", found \"</a>\"");
  EXPECT_EQ(send("1. a", "MarkdownV2"),
            "Bad Request: can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'");
  EXPECT_EQ(send("*bold", "MarkdownV2"),
            "Bad Request: can't parse entities: Can't find end of Bold entity at byte offset 0");
  EXPECT_EQ(send("x", "BBCode"), "Bad Request: unsupported parse_mode");
}

TEST(TelegramText, CountsEntitiesInUtf16Units) {
  const auto parsed = parse_formatted("😀 <i>né</i>", "HTML");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->entities, (json::array{{{"type", "italic"}, {"offset", 3}, {"length", 2}}}));
}

TEST(TelegramText, NestsAndReadsLanguagesAndLinks) {
  const auto html =
      parse_formatted("<pre><code class=\"language-cpp\">x&amp;y</code></pre><a href=\"https://e.org\">e</a>", "HTML");
  ASSERT_TRUE(html) << html.error().what;
  EXPECT_EQ(html->text, "x&ye");
  EXPECT_EQ(html->entities,
            (json::array{{{"type", "pre"}, {"offset", 0}, {"length", 3}, {"language", "cpp"}},
                         {{"type", "text_link"}, {"offset", 3}, {"length", 1}, {"url", "https://e.org/"}}}));
  const auto markdown = parse_formatted("*b _i_* `c\\`` [t](https://e.org/\\)) \\.\n```py\nz```", "MarkdownV2");
  ASSERT_TRUE(markdown) << markdown.error().what;
  EXPECT_EQ(markdown->text, "b i c` t .\nz");
  ASSERT_EQ(markdown->entities.size(), 5u);
  EXPECT_EQ(markdown->entities[3].at("url"), "https://e.org/)");
  EXPECT_EQ(markdown->entities[4].at("language"), "py");
}

TEST(TelegramText, NeverFailsOtherThanByAnError) {
  for (const char* mode : {"HTML", "MarkdownV2", "Markdown"}) {
    for (const char* text : {"<", "</", "<a", "<a href", "<a href=", "<a href=\"", "&#", "&#x;", "[", "[a](", "`",
                             "```", "```a", "\\", ">", "||", "_*_*", "]", "<b></b>"}) {
      (void)parse_formatted(text, mode);
    }
  }
  EXPECT_FALSE(parse_formatted("\xff", ""));
}

TEST_F(TelegramApiTest, AnUnchangedEditIsRefusedAsSuch) {
  Said sent = telegram("sendMessage", {{"chat_id", 5}, {"text", "a"}});
  const json::value id = result(sent).at("message_id");
  Said same = telegram("editMessageText", {{"chat_id", 5}, {"message_id", id}, {"text", "a"}});
  EXPECT_EQ(same.status, 400);
  EXPECT_TRUE(why(same).starts_with("Bad Request: message is not modified")) << why(same);
  Said changed = telegram("editMessageText", {{"chat_id", 5}, {"message_id", id}, {"text", "b"}});
  EXPECT_EQ(changed.status, 200);
  Said missing = telegram("editMessageText", {{"chat_id", 5}, {"message_id", 999}, {"text", "b"}});
  EXPECT_EQ(why(missing), "Bad Request: message to edit not found");
}

TEST_F(TelegramApiTest, ChecksButtonsByTheByte) {
  const auto send = [&](std::string data) {
    return telegram("sendMessage",
                    {{"chat_id", 5},
                     {"text", "?"},
                     {"reply_markup", {{"inline_keyboard", {{{{"text", "Yes"}, {"callback_data", data}}}}}}}});
  };
  EXPECT_EQ(send(std::string(64, 'x')).status, 200);
  Said over = send(std::string(63, 'x') + "é");
  EXPECT_EQ(why(over), "Bad Request: BUTTON_DATA_INVALID");
}

TEST_F(TelegramApiTest, APressedButtonArrivesAndIsAnsweredOnce) {
  Said sent =
      telegram("sendMessage", {{"chat_id", 5},
                               {"text", "?"},
                               {"reply_markup", R"({"inline_keyboard":[[{"text":"Yes","callback_data":"y1"}]]})"}});
  const json::value id = result(sent).at("message_id");
  ASSERT_EQ(control("telegram/press", json::object{{"message_id", id}, {"data", "y1"}}).status, 200);
  Said updates = telegram("getUpdates");
  const json::array& list = updates.object()["result"].as_array();
  ASSERT_EQ(list.size(), 1u);
  const json::object query = list[0].at("callback_query").as_object();
  EXPECT_EQ(query.at("data"), "y1");
  EXPECT_EQ(query.at("message").at("message_id"), id);
  EXPECT_EQ(telegram("answerCallbackQuery", {{"callback_query_id", query.at("id")}, {"text", "ok"}}).status, 200);
  Said late = telegram("answerCallbackQuery", {{"callback_query_id", query.at("id")}});
  EXPECT_EQ(why(late), "Bad Request: query is too old and response timeout expired or query ID is invalid");
}

TEST_F(TelegramApiTest, UpdatesStayUntilTheirNumberIsPassed) {
  telegram("getMe");
  for (const char* text : {"one", "two", "/three"}) control("telegram/send", {{"text", text}});
  const auto texts = [&](json::object fields) {
    std::string all;
    Said said = telegram("getUpdates", fields);
    for (const json::value& update : said.object()["result"].as_array()) {
      all += text_of(update.at("message").as_object(), "text") + " ";
    }
    return all;
  };
  EXPECT_EQ(texts({}), "one two /three ");
  EXPECT_EQ(texts({{"limit", 1}}), "one ");
  const auto first = *whole_of(telegram("getUpdates").object()["result"].as_array().at(0).as_object(), "update_id");
  EXPECT_EQ(texts({{"offset", first + 1}}), "two /three ");
  EXPECT_EQ(texts({{"offset", -1}}), "/three ");
  EXPECT_EQ(texts({}), "/three ") << "a negative offset forgets what is older";
}

TEST_F(TelegramApiTest, ALongPollEndsWithTheUpdateItWaitedFor) {
  telegram("getMe");
  std::promise<Said> polled;
  std::thread other([&] {
    http::KeepAliveClient client;
    auto answer =
        client.send({.url = sandbox_.url() + "/telegram/bot1:token/getUpdates?timeout=20", .deadline = Millis(25'000)});
    polled.set_value(answer ? Said{answer->status, json::parse(answer->body)} : Said{});
  });
  auto waiting = polled.get_future();
  EXPECT_EQ(waiting.wait_for(Millis(100)), std::future_status::timeout);
  control("telegram/send", {{"text", "hello"}});
  ASSERT_EQ(waiting.wait_for(Millis(5000)), std::future_status::ready);
  Said said = waiting.get();
  other.join();
  ASSERT_EQ(said.status, 200);
  EXPECT_EQ(said.object()["result"].as_array().size(), 1u);
}

TEST_F(TelegramApiTest, ASecondPollerEndsTheFirst) {
  telegram("getMe");
  std::promise<int> first;
  std::thread other([&] {
    http::KeepAliveClient client;
    auto answer =
        client.send({.url = sandbox_.url() + "/telegram/bot1:token/getUpdates?timeout=20", .deadline = Millis(25'000)});
    first.set_value(answer ? answer->status : 0);
  });
  auto ended = first.get_future();
  while (ended.wait_for(Millis(20)) != std::future_status::ready) telegram("getUpdates");
  EXPECT_EQ(ended.get(), 409);
  other.join();
  telegram("setWebhook", {{"url", "https://example.org/hook"}});
  Said said = telegram("getUpdates");
  EXPECT_EQ(said.status, 409);
  EXPECT_EQ(telegram("deleteWebhook").status, 200);
  EXPECT_EQ(telegram("getUpdates").status, 200);
}

TEST_F(TelegramApiTest, AMigratedGroupSaysWhereItWent) {
  control("migrate", {{"chat", -5}, {"to", -1000000000005}});
  Said said = telegram("sendMessage", {{"chat_id", -5}, {"text", "x"}});
  EXPECT_EQ(said.status, 400);
  EXPECT_EQ(said.object()["parameters"].at("migrate_to_chat_id"), -1000000000005);
  EXPECT_EQ(telegram("sendMessage", {{"chat_id", -1000000000005}, {"text", "x"}}).status, 200);
}

TEST_F(TelegramApiTest, TakesDocumentsAndServesThem) {
  const http::Multipart form =
      http::multipart({{.name = "chat_id", .body = "5"},
                       {.name = "caption", .body = "the log"},
                       {.name = "document", .body = "bytes", .filename = "a.log", .content_type = "text/plain"}});
  Said sent = ask("POST", "/telegram/bot1:t/sendDocument", form.body, form.content_type);
  ASSERT_EQ(sent.status, 200) << why(sent);
  const json::object document = result(sent).at("document").as_object();
  EXPECT_EQ(document.at("file_size"), 5);
  Said file = telegram("getFile", {{"file_id", document.at("file_id")}});
  EXPECT_EQ(ask("GET", "/telegram/file/bot1:t/" + text_of(result(file), "file_path")).body, "bytes");
  Said none = telegram("sendDocument", {{"chat_id", 5}});
  EXPECT_EQ(why(none), "Bad Request: there is no document in the request");
}

TEST_F(TelegramApiTest, KnowsReactionsPinsActionsAndCommands) {
  const json::value id =
      result(telegram("sendMessage", {{"chat_id", 5}, {"text", "a"}, {"disable_notification", true}})).at("message_id");
  const auto react = [&](const char* emoji) {
    return telegram("setMessageReaction",
                    {{"chat_id", 5}, {"message_id", id}, {"reaction", {{{"type", "emoji"}, {"emoji", emoji}}}}})
        .status;
  };
  EXPECT_EQ(react("👀"), 200);
  EXPECT_EQ(react("✅"), 400);
  EXPECT_EQ(telegram("pinChatMessage", {{"chat_id", 5}, {"message_id", id}}).status, 200);
  EXPECT_EQ(result(telegram("getChat", {{"chat_id", 5}})).at("pinned_message").at("message_id"), id);
  EXPECT_EQ(telegram("sendChatAction", {{"chat_id", 5}, {"action", "typing"}}).status, 200);
  EXPECT_EQ(telegram("setMyCommands", {{"commands", {{{"command", "status"}, {"description", "how it is"}}}}}).status,
            200);
  EXPECT_EQ(telegram("setMyCommands", {{"commands", {{{"command", "Status!"}, {"description", "x"}}}}}).status, 400);
  const json::value shown = there("telegram", "5").at(0).at("sandbox");
  EXPECT_EQ(shown.at("silent"), true);
  EXPECT_EQ(shown.at("reaction"), "👀");
  EXPECT_EQ(telegram("deleteMessage", {{"chat_id", 5}, {"message_id", id}}).status, 200);
  EXPECT_TRUE(there("telegram", "5").empty());
}

class PacedTelegram : public City {
 protected:
  PacedTelegram() : City({.listen = "127.0.0.1:0", .telegram = {1, Millis(60'000)}}) {}
};

TEST_F(PacedTelegram, SaysHowLongToWait) {
  EXPECT_EQ(telegram("sendMessage", {{"chat_id", 5}, {"text", "1"}}).status, 200);
  Said over = telegram("sendMessage", {{"chat_id", 5}, {"text", "2"}});
  EXPECT_EQ(over.status, 429);
  EXPECT_EQ(over.object()["parameters"].at("retry_after"), 60);
  EXPECT_EQ(over.header("Retry-After"), "60");
  EXPECT_EQ(telegram("sendMessage", {{"chat_id", 6}, {"text", "1"}}).status, 200);
}

}  // namespace
}  // namespace detent::sandbox
