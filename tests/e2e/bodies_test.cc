// Texts as models and logs write them: delivered readable, split, harmless; and secrets in them nowhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/signal.pb.h"
#include "proto/wire.pb.h"
#include "tests/house/house.h"
#include "tests/house/stranger.h"

namespace detent::house {

namespace {

using testing::HasSubstr;
using testing::Not;

class Bodies : public testing::Test {
 protected:
  void SetUp() override {
    house.start_broker();
    house.start_discord({"system"});
    house.start_discord({"chat"});
    house.start_telegram();
  }

  /// To a bot's channel, a webhook and Telegram, and all that was shown of it there.
  struct Shown {
    json::array bot, webhook, phone;
  };
  Shown show(const std::string& title, const std::string& body) {
    house.publish({.type = "something.odd", .title = title, .body = body, .needs_response = true});
    house.publish({.type = "chat.message", .title = title, .body = body});
    EXPECT_TRUE(house.settled(Millis{90'000}));
    EXPECT_EQ(house.metric("detent_deliveries_settled_total{outcome=\"delivered\"}"), 3);
    Shown shown{house.discord("system"), house.discord("chat"), house.telegram()};
    for (const json::array* each : {&shown.bot, &shown.webhook, &shown.phone}) EXPECT_GE(each->size(), 1u);
    for (const json::array* each : {&shown.bot, &shown.webhook}) {
      for (const json::value& message : *each) {
        EXPECT_FALSE(message.at("mention_everyone").as_bool());
        EXPECT_TRUE(message.at("mentions").as_array().empty());
        EXPECT_TRUE(message.at("mention_roles").as_array().empty());
      }
    }
    return shown;
  }
  void expect_everywhere(const Shown& shown, const std::string& text) {
    EXPECT_GE(House::count(shown.bot, text), 1u) << text << " in " << json::serialize(shown.bot).substr(0, 3000);
    EXPECT_GE(House::count(shown.webhook, text), 1u)
        << text << " in " << json::serialize(shown.webhook).substr(0, 3000);
    EXPECT_GE(House::count(shown.phone, text), 1u) << text << " in " << json::serialize(shown.phone).substr(0, 3000);
  }
  void expect_nowhere(const Shown& shown, const std::string& text) {
    EXPECT_EQ(House::count(shown.bot, text) + House::count(shown.webhook, text) + House::count(shown.phone, text), 0u)
        << text;
  }

  House house;
};

size_t files(const json::array& messages, const char* field) {
  size_t bytes = 0;
  for (const json::value& message : messages) {
    const auto* list = message.as_object().if_contains(field);
    if (!list) continue;
    const json::array all = list->is_array() ? list->as_array() : json::array{*list};
    for (const json::value& file : all) {
      const auto* size = file.as_object().if_contains("size");
      if (!size) size = file.as_object().if_contains("file_size");
      if (size) bytes += size->to_number<size_t>();
    }
  }
  return bytes;
}

}  // namespace

TEST_F(Bodies, OfBrokenMarkdownArriveReadable) {
  const auto shown = show("Broken **title",
                          "**bold _it `code [link](http://x <b>tag</i> &amp; ~~gone\n\n```sh\necho unclosed\n\n| a | b "
                          "|\n|--\n> quote\n- [ ] todo\n<script>alert(1)</script>");
  for (const char* word : {"bold", "code", "gone", "echo unclosed", "quote", "todo", "alert(1)"})
    expect_everywhere(shown, word);
}

TEST_F(Bodies, OfFourMegabytesArriveAsFilesWithTheirBeginningShown) {
  std::string body;
  while (body.size() < (4 << 20) - 200) body += "Line " + std::to_string(body.size()) + " of a very long night.\n\n";
  const auto shown = show("A long night", body);
  expect_everywhere(shown, "A long night");
  expect_everywhere(shown, "Line 0 of a very long night.");
  EXPECT_GE(files(shown.bot, "attachments"), body.size());
  EXPECT_GE(files(shown.webhook, "attachments"), body.size());
  EXPECT_GE(files(shown.phone, "document"), body.size());
}

TEST_F(Bodies, OfAFewPagesAreSplitInOrder) {
  std::string body;
  for (int i = 0; i < 120; ++i)
    body += "Paragraph " + std::to_string(i) + " has **something** to say, and says it at some length.\n\n";
  const auto shown = show("A few pages", body);
  for (const json::array* pages : {&shown.bot, &shown.webhook, &shown.phone}) {
    EXPECT_GT(pages->size(), 1u);
    std::string all = json::serialize(*pages);
    size_t at = 0;
    for (int i = 0; i < 120; ++i) {
      const size_t found = all.find("Paragraph " + std::to_string(i) + " has", at);
      ASSERT_NE(found, std::string::npos) << "paragraph " << i << " is not behind the one before it";
      at = found;
    }
  }
}

TEST_F(Bodies, WithNulBytesArriveWithoutThem) {
  const auto shown = show(std::string("A title\0with NUL", 16), std::string("before\0after", 12));
  expect_everywhere(shown, "before");
  expect_everywhere(shown, "after");
  expect_everywhere(shown, "with NUL");
  expect_nowhere(shown, "\\u0000");
}

TEST_F(Bodies, WithMarksThatTurnTheWritingArriveWithoutThem) {
  const auto shown =
      show("invoice\u202egnp.exe", "left \u202eright\u202c \u2067isolated\u2069 \u05e9\u05dc\u05d5\u05dd");
  expect_everywhere(shown, "gnp.exe");
  expect_everywhere(shown, "\u05e9\u05dc\u05d5\u05dd");
  for (const char* mark : {"\u202e", "\u202c", "\u2067", "\u2069"}) expect_nowhere(shown, mark);
}

TEST_F(Bodies, WithMentionsPingNobody) {
  show("@everyone look", "@everyone @here <@123456789012345678> <@&123456789012345678> <#1100000000000000002>");
  size_t posts = 0;
  for (const json::object& request : house.requests()) {
    if (request.at("service").as_string() != "discord" || request.at("method").as_string() != "POST") continue;
    ++posts;
    EXPECT_TRUE(request.at("body").at("allowed_mentions").at("parse").as_array().empty());
  }
  EXPECT_GE(posts, 2u);
}

TEST_F(Bodies, WithMarkupForThePlatformsBreakOutOfNothing) {
  const auto shown = show(
      "</b><a href=\"tg://user?id=1\">x</a>",
      "</code></pre><a href=\"javascript:alert(1)\">press</a> <tg-spoiler>s</tg-spoiler> [a](javascript:alert(2))");
  expect_everywhere(shown, "press");
  for (const json::value& message : shown.phone) {
    const auto* entities = message.as_object().if_contains("entities");
    if (!entities) continue;
    for (const json::value& entity : entities->as_array()) {
      const auto* url = entity.as_object().if_contains("url");
      if (url) {
        EXPECT_THAT(std::string(url->as_string()), Not(HasSubstr("javascript")));
      }
      EXPECT_NE(entity.at("type").as_string(), "text_mention");
      EXPECT_NE(entity.at("type").as_string(), "spoiler");
    }
  }
}

TEST(Secrets, InTextsAreNowhereToBeFound) {
  // Shaped like GitHub's, and one of the operator's own.
  const std::string token = std::string("gh") + "p_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8";
  const std::string own = "house-key-" + std::string("4711-abcdef");
  House house({.more = "[redact]\npatterns = [\"house-key-[0-9]+-[a-z]+\"]\n"});
  house.control("POST", "permissions",
                json::serialize(json::object{{"channel", House::channel_id("alerts")}, {"deny", {"SEND_MESSAGES"}}}));
  house.start_broker();
  house.start_discord({"system", "alerts"});
  house.start_discord({"chat"});
  house.start_telegram();
  const std::string secret = "the token " + token + " and " + own + " here";

  // Past the publisher library, which masks by itself: a stranger's bytes.
  Stranger stranger(house.endpoint());
  ASSERT_NE(stranger.greet(), 0u);
  Publish publish;
  publish.set_first(1);
  UlidSource ids;
  for (const char* type : {"something.odd", "chat.message", "incident.detected"}) {
    Note note;
    note.set_title("Title with " + secret);
    note.set_body("Body with " + secret + "\n\n" + std::string(3000, 'x') + "\n\nend " + secret);
    auto* field = note.add_fields();
    field->set_name("Field");
    field->set_value(secret);
    Signal signal;
    signal.set_id(std::string(ids.next(system_now().wall).view()));
    signal.set_type(type);
    signal.set_source("host " + own);
    signal.set_needs_response(std::string(type) == "something.odd");
    auto* label = signal.add_labels();
    label->set_key("label");
    label->set_value(token);
    signal.set_payload(note.SerializeAsString());
    publish.add_signals(signal.SerializeAsString());
  }
  ASSERT_TRUE(stranger.say(Frame::kPublish, publish.SerializeAsString()));
  EXPECT_EQ(house
                .post("/v1/signals",
                      json::serialize(json::object{{"type", "cron.output"}, {"title", "By HTTP"}, {"body", secret}}))
                .status,
            200);
  EXPECT_EQ(house.detent({"publish", "cron.output", "By hand", "--body", secret}).code, 0);
  ASSERT_TRUE(eventually([&] { return house.discord("system").size() >= 3 && house.settled(Millis{0}); }));
  ASSERT_TRUE(eventually([&] { return house.status_of("discord.alerts").at("dead_letters").to_number<int>() > 0; }))
      << "without permission to send, the incident is a dead letter";
  Ended dead;
  ASSERT_TRUE(eventually([&] {
    return (dead = house.detent({"dead", "list", "--json"})).output.find("alerts") != std::string::npos;
  }));
  const json::value letters = json::parse(dead.output);
  const Ended letter =
      house.detent({"dead", "show", std::to_string(letters.at("letters").at(0).at("delivery").to_number<uint64_t>())});
  EXPECT_EQ(letter.code, 0) << letter.output;
  EXPECT_THAT(letter.output, HasSubstr("[redacted]"));
  EXPECT_GE(house.metric("detent_texts_redacted_total"), 1);

  const json::array everywhere[] = {house.discord(), house.telegram()};
  for (const json::array& messages : everywhere) {
    EXPECT_GE(House::count(messages, "[redacted]"), 1u);
    EXPECT_EQ(House::count(messages, token), 0u);
    EXPECT_EQ(House::count(messages, own), 0u);
  }
  house.stop_all();
  size_t looked_at = 0, dead_letters = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(house.folder())) {
    if (!entry.is_regular_file() || entry.path() == house.config()) continue;
    const std::string bytes = read_whole(entry.path());
    EXPECT_EQ(bytes.find(token), std::string::npos) << entry.path();
    EXPECT_EQ(bytes.find(own), std::string::npos) << entry.path();
    ++looked_at;
    dead_letters += entry.path().string().find("/state/dead/") != std::string::npos &&
                    bytes.find("[redacted]") != std::string::npos;
  }
  EXPECT_GE(looked_at, 5u);
  EXPECT_GE(dead_letters, 1u) << "the dead letters' journal holds it masked";
  const std::string recorded = read_whole(house.record());
  EXPECT_THAT(recorded, Not(HasSubstr(token)));
  EXPECT_THAT(recorded, Not(HasSubstr(House::kDiscordToken)));
  size_t masked = 0;
  for (const json::object& line : ledger_lines(house.ledger())) {
    const std::string text = json::serialize(line);
    EXPECT_THAT(text, Not(HasSubstr(token)));
    EXPECT_THAT(text, Not(HasSubstr(own)));
    masked += text.find("[redacted]") != std::string::npos;
  }
  EXPECT_GE(masked, 3u);
  house.expect_a_whole_ledger();
}

}  // namespace detent::house
