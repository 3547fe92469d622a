#include "tests/sandbox/city.h"

namespace detent::sandbox {
namespace {

std::string id_of(Said& said) { return text_of(said.object(), "id"); }
std::int64_t code_of(Said& said) { return whole_of(said.object(), "code").value_or(-1); }

/// The first fault's code at a path of an "Invalid Form Body" answer, or "".
std::string fault_at(Said& said, std::string_view path) {
  if (said.status != 400 || code_of(said) != 50035) return "";
  boost::system::error_code missing;
  const json::value* found = said.object().at("errors").find_pointer(path, missing);
  return found ? text_of(found->at("_errors").at(0).as_object(), "code") : "";
}

using DiscordApiTest = City;

TEST_F(DiscordApiTest, CreatesAMessageAndGivesItBack) {
  Said made = discord("POST", "/channels/11/messages",
                      {{"content", "  hello  "}, {"embeds", {{{"title", "T"}, {"color", 255}}}}, {"flags", 4096}});
  ASSERT_EQ(made.status, 200);
  EXPECT_EQ(made.object()["content"], "hello");
  EXPECT_EQ(made.object()["flags"], 4096);
  EXPECT_EQ(made.object()["channel_id"], "11");
  Said got = discord("GET", "/channels/11/messages/" + id_of(made));
  EXPECT_EQ(got.body, made.body);
  Said listed = discord("GET", "/channels/11/messages");
  ASSERT_EQ(listed.array().size(), 1u);
  EXPECT_EQ(listed.array()[0], made.body);
}

TEST_F(DiscordApiTest, SnowflakesHoldTheTimeAndGrow) {
  Said one = discord("POST", "/channels/11/messages", {{"content", "1"}});
  Said two = discord("POST", "/channels/11/messages", {{"content", "2"}});
  const auto first = *parse_id(id_of(one)), second = *parse_id(id_of(two));
  EXPECT_LT(first, second);
  const auto stamp = std::int64_t(first >> 22) + 1'420'070'400'000;
  EXPECT_NEAR(double(stamp), double(system_now().wall.count()), 10'000);
}

TEST_F(DiscordApiTest, RefusesWhatIsTooLongWithAnErrorAtItsPlace) {
  const auto send = [&](json::object body) { return discord("POST", "/channels/11/messages", body); };
  Said said = send({{"content", std::string(2001, 'x')}});
  EXPECT_EQ(fault_at(said, "/content"), "BASE_TYPE_MAX_LENGTH");
  said = send({{"embeds", {{{"title", "ok"}}, {{"title", std::string(257, 'x')}}}}});
  EXPECT_EQ(fault_at(said, "/embeds/1/title"), "BASE_TYPE_MAX_LENGTH");
  said = send({{"embeds", {{{"fields", {{{"name", ""}, {"value", "v"}}}}}}}});
  EXPECT_EQ(fault_at(said, "/embeds/0/fields/0/name"), "BASE_TYPE_REQUIRED");
  said = send({{"embeds", {{{"description", std::string(4000, 'x')}}, {{"description", std::string(2001, 'x')}}}}});
  EXPECT_EQ(fault_at(said, "/embeds"), "MAX_EMBED_SIZE_EXCEEDED");
  said = send({{"embeds", json::array(11, json::object{{"title", "x"}})}});
  EXPECT_EQ(fault_at(said, "/embeds"), "BASE_TYPE_MAX_LENGTH");
  said = send({{"content", "x"}, {"nonce", std::string(26, 'n')}});
  EXPECT_EQ(fault_at(said, "/nonce"), "NONCE_TYPE_TOO_LONG");
  said = send({{"content", "x"}, {"embeds", {{{"color", 16'777'216}, {"title", "t"}}}}});
  EXPECT_EQ(fault_at(said, "/embeds/0/color"), "NUMBER_TYPE_MAX");
  said = send({{"embeds", {{{"title", "t"}, {"url", "no url"}}}}});
  EXPECT_EQ(fault_at(said, "/embeds/0/url"), "URL_TYPE_INVALID_URL");
  EXPECT_TRUE(there("discord").empty());
  std::string wide;
  for (int i = 0; i < 2000; ++i) wide += "é";
  EXPECT_EQ(send({{"content", wide}}).status, 200) << "2000 characters are 4000 bytes here";
}

TEST_F(DiscordApiTest, RefusesKeysThatNoMessageHas) {
  Said said = discord("POST", "/channels/11/messages", {{"content", "x"}, {"colour", 1}});
  EXPECT_EQ(fault_at(said, "/colour"), "UNKNOWN_KEY");
  said = discord("POST", "/channels/11/messages", {{"embeds", {{{"titel", "x"}}}}});
  EXPECT_EQ(fault_at(said, "/embeds/0/titel"), "UNKNOWN_KEY");
}

TEST_F(DiscordApiTest, RefusesEmptyMessagesAndBrokenJson) {
  Said said = discord("POST", "/channels/11/messages", {{"content", " \n "}});
  EXPECT_EQ(said.status, 400);
  EXPECT_EQ(code_of(said), 50006);
  said = ask("POST", "/discord/api/v10/channels/11/messages", "{\"content\":");
  EXPECT_EQ(said.status, 400);
  EXPECT_EQ(code_of(said), 50109);
}

TEST_F(DiscordApiTest, ChecksButtons) {
  const auto row = [](json::array buttons) {
    return json::object{{"content", "x"}, {"components", {{{"type", 1}, {"components", buttons}}}}};
  };
  const json::object good{{"type", 2}, {"style", 1}, {"label", "a"}, {"custom_id", "a"}};
  EXPECT_EQ(discord("POST", "/channels/11/messages", row({good})).status, 200);
  Said said = discord("POST", "/channels/11/messages", row({good, good}));
  EXPECT_EQ(fault_at(said, "/components/0/components/1/custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED");
  said = discord("POST", "/channels/11/messages", row({{{"type", 2}, {"style", 5}, {"label", "l"}}}));
  EXPECT_EQ(fault_at(said, "/components/0/components/0/url"), "BASE_TYPE_REQUIRED");
}

TEST_F(DiscordApiTest, ANonceMakesOneMessageOfTwoRequests) {
  const json::object body{{"content", "once"}, {"nonce", "n1"}, {"enforce_nonce", true}};
  Said first = discord("POST", "/channels/11/messages", body);
  Said again = discord("POST", "/channels/11/messages", body);
  EXPECT_EQ(first.object()["nonce"], "n1");
  EXPECT_EQ(id_of(first), id_of(again));
  EXPECT_EQ(there("discord", "11").size(), 1u);
  Said other = discord("POST", "/channels/11/messages", body, "another-token");
  EXPECT_NE(id_of(other), id_of(first)) << "nonces are an author's own";
  control("nonces/forget");
  Said later = discord("POST", "/channels/11/messages", body);
  EXPECT_NE(id_of(later), id_of(first));
}

TEST_F(DiscordApiTest, ANonceWithoutEnforcementIsOnlyEchoed) {
  const json::object body{{"content", "twice"}, {"nonce", 7}};
  discord("POST", "/channels/11/messages", body);
  Said again = discord("POST", "/channels/11/messages", body);
  EXPECT_EQ(again.object()["nonce"], 7);
  EXPECT_EQ(there("discord", "11").size(), 2u);
}

TEST_F(DiscordApiTest, ADeletedMessageIsNotMadeAgainByItsNonce) {
  const json::object body{{"content", "gone"}, {"nonce", "n"}, {"enforce_nonce", true}};
  Said made = discord("POST", "/channels/11/messages", body);
  EXPECT_EQ(discord("DELETE", "/channels/11/messages/" + id_of(made)).status, 204);
  Said again = discord("POST", "/channels/11/messages", body);
  EXPECT_EQ(again.status, 404);
  EXPECT_EQ(code_of(again), 10008);
}

TEST_F(DiscordApiTest, SaysWhomAMessagePinged) {
  const std::string text = "@everyone <@5> <@&6> `@here <@7>`";
  Said all = discord("POST", "/channels/11/messages", {{"content", text}});
  EXPECT_EQ(all.object()["mention_everyone"], true);
  EXPECT_EQ(all.object()["mentions"].as_array().size(), 1u);
  EXPECT_EQ(all.object()["mention_roles"], (json::array{"6"}));
  const json::object quiet{{"content", text}, {"allowed_mentions", {{"parse", json::array{}}}}};
  Said none = discord("POST", "/channels/11/messages", quiet);
  EXPECT_EQ(none.object()["mention_everyone"], false);
  EXPECT_TRUE(none.object()["mentions"].as_array().empty());
  Said edited = discord("PATCH", "/channels/11/messages/" + id_of(none), {{"content", text}});
  EXPECT_EQ(edited.object()["mention_everyone"], true) << "an edit without allowances is parsed with the default ones";
  Said webhook = discord("POST", "/webhooks/12/secret?wait=true", {{"content", text}});
  EXPECT_EQ(webhook.object()["mention_everyone"], false);
  EXPECT_EQ(webhook.object()["mentions"].as_array().size(), 1u);
}

TEST_F(DiscordApiTest, ListsByPlaceAndLimitNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) {
    Said made = discord("POST", "/channels/11/messages", {{"content", std::to_string(i)}});
    ids.push_back(id_of(made));
  }
  const auto contents = [&](const std::string& query) {
    std::string all;
    Said said = discord("GET", "/channels/11/messages" + query);
    for (const json::value& message : said.array()) {
      all += text_of(message.as_object(), "content");
    }
    return all;
  };
  EXPECT_EQ(contents(""), "543210");
  EXPECT_EQ(contents("?limit=2"), "54");
  EXPECT_EQ(contents("?limit=2&before=" + ids[3]), "21");
  EXPECT_EQ(contents("?limit=2&after=" + ids[1]), "32");
  EXPECT_EQ(contents("?limit=3&around=" + ids[3]), "432");
  Said bad = discord("GET", "/channels/11/messages?limit=101");
  EXPECT_EQ(fault_at(bad, "/limit"), "NUMBER_TYPE_MAX");
}

TEST_F(DiscordApiTest, AThreadHasItsMessagesIdAndIsThereOnce) {
  Said made = discord("POST", "/channels/11/messages", {{"content", "root"}});
  const std::string id = id_of(made);
  EXPECT_EQ(discord("POST", "/channels/" + id + "/messages", {{"content", "x"}}).status, 404) << "no thread yet";
  Said thread =
      discord("POST", "/channels/11/messages/" + id + "/threads", {{"name", "talk"}, {"auto_archive_duration", 1440}});
  ASSERT_EQ(thread.status, 201);
  EXPECT_EQ(id_of(thread), id);
  EXPECT_EQ(thread.object()["parent_id"], "11");
  EXPECT_EQ(thread.object()["type"], 11);
  Said again = discord("POST", "/channels/11/messages/" + id + "/threads", {{"name", "talk"}});
  EXPECT_EQ(again.status, 400);
  EXPECT_EQ(code_of(again), 160004);
  EXPECT_EQ(discord("POST", "/channels/" + id + "/messages", {{"content", "inside"}}).status, 200);
  const json::array all = there("discord", "11");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].at("channel_id"), json::string(id));
  Said unnamed = discord("POST", "/channels/11/messages/" + id + "/threads", {{"auto_archive_duration", 5}});
  EXPECT_EQ(fault_at(unnamed, "/name"), "BASE_TYPE_REQUIRED");
}

TEST_F(DiscordApiTest, EditsOwnMessagesOnly) {
  Said made = discord("POST", "/channels/11/messages", {{"content", "old"}});
  Said edited = discord("PATCH", "/channels/11/messages/" + id_of(made), {{"content", "new"}});
  EXPECT_EQ(edited.object()["content"], "new");
  EXPECT_FALSE(edited.object()["edited_timestamp"].is_null());
  Said foreign = discord("PATCH", "/channels/11/messages/" + id_of(made), {{"content", "x"}}, "someone");
  EXPECT_EQ(code_of(foreign), 50005);
  Said emptied = discord("PATCH", "/channels/11/messages/" + id_of(made), {{"content", ""}});
  EXPECT_EQ(code_of(emptied), 50006);
}

TEST_F(DiscordApiTest, TakesFilesAndServesThem) {
  const http::Multipart form =
      http::multipart({{.name = "payload_json",
                        .body = R"({"content":"with","attachments":[{"id":0,"description":"a log"}]})",
                        .content_type = "application/json"},
                       {.name = "files[0]", .body = "line 1\n", .filename = "a b.log", .content_type = "text/plain"}});
  Said made = ask("POST", "/discord/api/v10/channels/11/messages", form.body, form.content_type);
  ASSERT_EQ(made.status, 200);
  const json::object file = made.object()["attachments"].as_array().at(0).as_object();
  EXPECT_EQ(text_of(file, "filename"), "a b.log");
  EXPECT_EQ(file.at("size"), 7);
  EXPECT_EQ(text_of(file, "description"), "a log");
  const std::string url = text_of(file, "url");
  ASSERT_TRUE(url.starts_with(sandbox_.url()));
  EXPECT_EQ(ask("GET", url.substr(sandbox_.url().size())).body, "line 1\n");
}

TEST_F(DiscordApiTest, RefusesFilesOverTheLimit) {
  const http::Multipart form =
      http::multipart({{.name = "files[0]", .body = std::string((10 << 20) + 1, 'x'), .filename = "big"}});
  Said said = ask("POST", "/discord/api/v10/channels/11/messages", form.body, form.content_type);
  EXPECT_EQ(said.status, 413);
  EXPECT_EQ(code_of(said), 40005);
}

TEST_F(DiscordApiTest, WebhooksAnswerOnlyWhenAskedTo) {
  EXPECT_EQ(discord("POST", "/webhooks/12/secret", {{"content", "a"}, {"username", "cron"}}).status, 204);
  Said waited = discord("POST", "/webhooks/12/secret?wait=true", {{"content", "b"}}, "");
  ASSERT_EQ(waited.status, 200);
  EXPECT_EQ(waited.object()["webhook_id"], "12");
  const std::string path = "/webhooks/12/secret/messages/" + id_of(waited);
  EXPECT_EQ(discord("PATCH", path, {{"content", "c"}}).status, 200);
  EXPECT_EQ(discord("GET", path).object()["content"], "c");
  EXPECT_EQ(discord("DELETE", path).status, 204);
  EXPECT_EQ(discord("GET", path).status, 404);
  EXPECT_EQ(there("discord", "12").size(), 1u);
}

TEST_F(DiscordApiTest, PinsAndListsThem) {
  Said made = discord("POST", "/channels/11/messages", {{"content", "status"}});
  EXPECT_EQ(discord("PUT", "/channels/11/messages/pins/" + id_of(made)).status, 204);
  Said pins = discord("GET", "/channels/11/messages/pins");
  ASSERT_EQ(pins.object()["items"].as_array().size(), 1u);
  EXPECT_EQ(pins.object()["has_more"], false);
  EXPECT_EQ(there("discord", "11").size(), 2u) << "the pin is announced";
  EXPECT_EQ(discord("DELETE", "/channels/11/messages/pins/" + id_of(made)).status, 204);
  EXPECT_TRUE(discord("GET", "/channels/11/messages/pins").object()["items"].as_array().empty());
}

TEST_F(DiscordApiTest, RefusesBadTokensAndNonsense) {
  Said said = discord("POST", "/channels/11/messages", {{"content", "x"}}, "a-bad-token");
  EXPECT_EQ(said.status, 401);
  EXPECT_EQ(said.object()["message"], "401: Unauthorized");
  EXPECT_EQ(discord("GET", "/users/@me", {}, "").status, 401);
  EXPECT_EQ(discord("POST", "/channels/general/messages", {{"content", "x"}}).status, 404);
  EXPECT_EQ(discord("GET", "/channels/11/messages/12").status, 404);
  EXPECT_EQ(discord("GET", "/no/such/route").status, 404);
  EXPECT_EQ(discord("PUT", "/channels/11/messages").status, 405);
}

TEST_F(DiscordApiTest, MissingPermissionsAreRefused) {
  control("permissions", {{"channel", "11"}, {"deny", {"EMBED_LINKS", "CREATE_PUBLIC_THREADS"}}});
  Said embed = discord("POST", "/channels/11/messages", {{"content", "c"}, {"embeds", {{{"title", "x"}}}}});
  EXPECT_EQ(embed.status, 403);
  EXPECT_EQ(code_of(embed), 50013);
  Said plain = discord("POST", "/channels/11/messages", {{"content", "c"}});
  EXPECT_EQ(plain.status, 200);
  EXPECT_EQ(discord("POST", "/channels/11/messages/" + id_of(plain) + "/threads", {{"name", "t"}}).status, 403);
  EXPECT_EQ(discord("POST", "/channels/12/messages", {{"embeds", {{{"title", "x"}}}}}).status, 200);
  EXPECT_EQ(control("permissions", {{"channel", "11"}, {"deny", {"EMBEDS"}}}).status, 400);
}

class PacedDiscord : public City {
 protected:
  PacedDiscord()
      : City({.listen = "127.0.0.1:0", .discord = {.channel = {2, Millis(60'000)}, .global = {8, Millis(60'000)}}}) {}
};

TEST_F(PacedDiscord, CountsEachChannelsBucketAndSaysSo) {
  Said one = discord("POST", "/channels/11/messages", {{"content", "1"}});
  EXPECT_EQ(one.header("X-RateLimit-Limit"), "2");
  EXPECT_EQ(one.header("X-RateLimit-Remaining"), "1");
  Said two = discord("POST", "/channels/11/messages", {{"content", "2"}});
  EXPECT_EQ(two.header("X-RateLimit-Remaining"), "0");
  Said three = discord("POST", "/channels/11/messages", {{"content", "3"}});
  EXPECT_EQ(three.status, 429);
  EXPECT_EQ(three.object()["global"], false);
  EXPECT_EQ(three.header("X-RateLimit-Scope"), "user");
  EXPECT_EQ(three.header("Retry-After"), "60");
  Said other = discord("POST", "/channels/12/messages", {{"content", "1"}});
  EXPECT_EQ(other.status, 200);
  EXPECT_EQ(other.header("X-RateLimit-Bucket"), one.header("X-RateLimit-Bucket"));
  EXPECT_EQ(there("discord", "11").size(), 2u);
}

TEST_F(PacedDiscord, OneLimitCountsAllRequestsOfAToken) {
  for (int channel = 21; channel < 29; ++channel) {
    EXPECT_EQ(discord("GET", "/channels/" + std::to_string(channel)).status, 200);
  }
  Said over = discord("GET", "/channels/30");
  EXPECT_EQ(over.status, 429);
  EXPECT_EQ(over.object()["global"], true);
  EXPECT_EQ(over.header("X-RateLimit-Global"), "true");
  EXPECT_EQ(discord("GET", "/channels/30", {}, "other").status, 200);
}

}  // namespace
}  // namespace detent::sandbox
