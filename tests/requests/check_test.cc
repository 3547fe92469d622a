// The check of requests itself: it takes what the documents allow, and tells what they do not.
#include <gmock/gmock.h>

#include "tests/support/request_check.h"

namespace detent::requests {

namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

json::object discord(std::string method, std::string path, json::value body) {
  return {{"service", "discord"}, {"method", method},
          {"path", path},         {"headers", {{"User-Agent", "DiscordBot (https://example.org, 1.0)"}}},
          {"body", body},         {"status", 200}};
}

json::object message() {
  return {
      {"content", "hello"}, {"nonce", "1"}, {"enforce_nonce", true}, {"allowed_mentions", {{"parse", json::array{}}}}};
}

Faults of_message(std::string_view key, json::value value) {
  json::object body = message();
  body[key] = std::move(value);
  return check(discord("POST", "/channels/1/messages", body));
}

Faults of_telegram(std::string method, json::value body) {
  return check({{"service", "telegram"}, {"method", "POST"}, {"path", method}, {"headers", {}}, {"body", body}});
}

}  // namespace

TEST(CheckOfRequests, TakesWhatTheDocumentsAllow) {
  EXPECT_THAT(check(discord("POST", "/channels/1/messages", message())), IsEmpty());
  EXPECT_THAT(check(discord("GET", "/channels/1/messages?after=12&limit=100", nullptr)), IsEmpty());
  EXPECT_THAT(of_message("embeds", {{{"title", "t"}, {"color", 255}, {"timestamp", "2026-11-22T14:00:00.000Z"}}}),
              IsEmpty());
  EXPECT_THAT(of_telegram("sendMessage", {{"chat_id", 5}, {"text", "<b>hi</b>"}, {"parse_mode", "HTML"}}), IsEmpty());
  EXPECT_THAT(of_telegram("/sendDocument", {{"chat_id", "5"}, {"document", "a.txt"}, {"disable_notification", "true"}}),
              IsEmpty());
}

TEST(CheckOfRequests, TellsAnOperationThatIsNotThere) {
  EXPECT_THAT(check(discord("POST", "/channels/1/mesages", message())), Contains(HasSubstr("no such operation")));
  EXPECT_THAT(check(discord("PUT", "/channels/1/messages", message())), Contains(HasSubstr("no such operation")));
  EXPECT_THAT(of_telegram("sendMesage", {{"chat_id", 5}, {"text", "hi"}}), Contains(HasSubstr("no such operation")));
}

TEST(CheckOfRequests, TellsAFieldThatIsNotThere) {
  EXPECT_THAT(of_message("contents", "hello"), ElementsAre("body.contents: no such field"));
  EXPECT_THAT(of_message("embeds", {{{"titel", "t"}}}), ElementsAre("body.embeds[0].titel: no such field"));
  EXPECT_THAT(of_telegram("sendMessage", {{"chat_id", 5}, {"text", "hi"}, {"silent", true}}),
              ElementsAre("body.silent: no such field"));
  EXPECT_THAT(check(discord("GET", "/channels/1/messages?since=12", nullptr)),
              ElementsAre("?since: no such parameter"));
}

TEST(CheckOfRequests, TellsAFieldThatIsMissing) {
  EXPECT_THAT(of_telegram("sendMessage", {{"chat_id", 5}}), ElementsAre("body.text: missing"));
  EXPECT_THAT(of_telegram("sendMessage", nullptr), ElementsAre("body: missing"));
  EXPECT_THAT(of_message("embeds", {{{"fields", {{{"name", "n"}}}}}}),
              ElementsAre("body.embeds[0].fields[0].value: missing"));
  EXPECT_THAT(check(discord("POST", "/channels/1/messages/2/threads", {{"auto_archive_duration", 60}})),
              ElementsAre("body.name: missing"));
}

TEST(CheckOfRequests, TellsAWrongType) {
  EXPECT_THAT(of_message("tts", "yes"), ElementsAre(HasSubstr("body.tts: is string")));
  EXPECT_THAT(of_message("flags", 1.5), ElementsAre(HasSubstr("body.flags: is number")));
  EXPECT_THAT(of_message("embeds", {{{"color", 1 << 24}}}), ElementsAre(HasSubstr("out of range")));
  EXPECT_THAT(of_message("embeds", {{{"timestamp", "yesterday"}}}), ElementsAre(HasSubstr("is no date-time")));
  EXPECT_THAT(of_message("embeds", {{{"url", "http://localhost/x"}}}), ElementsAre(HasSubstr("is no uri")));
  EXPECT_THAT(of_telegram("sendMessage", {{"chat_id", 5}, {"text", "hi"}, {"reply_markup", "{\"inline_keyboard\":5}"}}),
              Contains(HasSubstr("inline_keyboard: is integer")));
  EXPECT_THAT(check(discord("GET", "/channels/1/messages?limit=many", nullptr)),
              ElementsAre(HasSubstr("?limit: is string")));
}

TEST(CheckOfRequests, TellsWhatIsTooLong) {
  EXPECT_THAT(of_message("content", json::string(2001, 'x')), ElementsAre("content: over 2000 characters"));
  EXPECT_THAT(of_message("nonce", json::string(26, '1')), ElementsAre(HasSubstr("at most 25")));
  EXPECT_THAT(of_message("embeds", {{{"title", std::string(257, 'x')}}}), ElementsAre(HasSubstr("at most 256")));
  EXPECT_THAT(of_message("embeds", json::array(11, json::object{{"title", "t"}})),
              ElementsAre(HasSubstr("at most 10")));
  EXPECT_THAT(of_message("embeds", json::array(2, json::object{{"description", std::string(3001, 'x')}})),
              ElementsAre(HasSubstr("over 6000")));
  EXPECT_THAT(check(discord("GET", "/channels/1/messages?limit=101", nullptr)), ElementsAre(HasSubstr("out of range")));
  // As Telegram counts them: shown, so that tags do not count and an entity is one.
  EXPECT_THAT(of_telegram("sendMessage",
                          {{"chat_id", 5}, {"text", "<b>" + std::string(4096, 'x') + "</b>"}, {"parse_mode", "HTML"}}),
              IsEmpty());
  EXPECT_THAT(of_telegram("sendMessage", {{"chat_id", 5}, {"text", std::string(4096, 'x') + "&lt;"}}),
              ElementsAre(HasSubstr("at most 4096")));
}

TEST(CheckOfRequests, TellsBadManners) {
  json::object pings = message();
  pings.erase("allowed_mentions");
  EXPECT_THAT(check(discord("POST", "/channels/1/messages", pings)), ElementsAre(HasSubstr("would ping")));
  json::object doubles = message();
  doubles.erase("nonce");
  EXPECT_THAT(check(discord("POST", "/channels/1/messages", doubles)), ElementsAre(HasSubstr("no nonce")));
  EXPECT_THAT(of_message("content", ""), ElementsAre("an empty message"));
  json::object nameless = discord("POST", "/channels/1/messages", message());
  nameless["headers"] = {{"User-Agent", "curl/8"}};
  EXPECT_THAT(check(nameless), ElementsAre(HasSubstr("User-Agent")));
  json::object refused = discord("POST", "/channels/1/messages", message());
  refused["status"] = 400;
  EXPECT_THAT(check(refused), ElementsAre("refused with 400"));
}

}  // namespace detent::requests
