#include "consumers/discord/render.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "base/utf8.h"
#include "consumers/text.h"
#include "tests/consumers/requests.h"
#include "tests/consumers/stories.h"

namespace detent::discord {
namespace {

namespace json = boost::json;
using consumers::Story;
using consumers::tell;
using consumers::units;
using testing::delivery;
using testing::kWall;
using testing::note;

std::vector<Message> drawn(const Signal& signal, Style style = {.channel = "alerts"}) {
  return render(tell(delivery(signal), kWall), style);
}
json::object body(const Message& message) { return json::parse(message.payload).as_object(); }
std::string text(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value ? std::string(value->as_string()) : "";
}
json::object embed(const Message& message) { return body(message).at("embeds").at(0).as_object(); }

/// Every limit that the API has for what we send.
void expect_within_limits(const Message& message) {
  ASSERT_TRUE(is_utf8(message.payload));
  const json::object object = body(message);
  EXPECT_LE(units(text(object, "content")), 2000U);
  EXPECT_EQ(object.at("allowed_mentions"), json::value({{"parse", json::array()}}));
  size_t sum = 0;
  if (object.contains("embeds")) {
    const json::object card = embed(message);
    EXPECT_LE(units(text(card, "title")), 256U);
    EXPECT_LE(units(text(card, "description")), 4096U);
    EXPECT_LE(units(text(card.at("footer").as_object(), "text")), 2048U);
    sum += units(text(card, "title")) + units(text(card, "description")) +
           units(text(card.at("footer").as_object(), "text"));
    if (const auto* fields = card.if_contains("fields")) {
      EXPECT_LE(fields->as_array().size(), 25U);
      for (const json::value& field : fields->as_array()) {
        const std::string name = text(field.as_object(), "name"), value = text(field.as_object(), "value");
        EXPECT_TRUE(!name.empty() && units(name) <= 256) << name;
        EXPECT_TRUE(!value.empty() && units(value) <= 1024) << value;
        sum += units(name) + units(value);
      }
    }
  }
  EXPECT_LE(sum, 6000U);
  EXPECT_TRUE(object.contains("embeds") || !text(object, "content").empty());
  if (object.contains("nonce")) {
    EXPECT_EQ(text(object, "nonce").size(), 25U);
    EXPECT_TRUE(object.at("enforce_nonce").as_bool());
  }
  EXPECT_LE(message.file.size(), 10U * 1024 * 1024);
  EXPECT_NE(message.payload.find(message.mark), std::string::npos);
}

TEST(DiscordRender, ShowsEveryTypeWithItsTitleOnTheLockScreen) {
  for (const Signal& signal : testing::one_of_each()) {
    const auto messages = drawn(signal);
    ASSERT_EQ(messages.size(), 1U) << signal.type();
    expect_within_limits(messages[0]);
    EXPECT_FALSE(text(body(messages[0]), "content").empty()) << signal.type();
  }
}

TEST(DiscordRender, LeavesOutTimesThatDiscordDoesNotTake) {
  Incident incident;
  incident.set_title("made by a clock of microseconds");
  incident.set_began_ms(kWall * 1000);
  Signal signal = testing::signal("incident.detected", incident);
  signal.set_created_ms(kWall * 1000);
  const auto messages = drawn(signal);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_FALSE(embed(messages[0]).contains("timestamp"));
  EXPECT_EQ(messages[0].payload.find("<t:"), std::string::npos) << messages[0].payload;
  signal.set_created_ms(253'402'300'799'999);
  EXPECT_EQ(text(embed(drawn(signal)[0]), "timestamp"), "9999-12-31T23:59:59.999Z");
}

TEST(DiscordRender, ColoursByWhatHappened) {
  std::map<std::string, int64_t> colours;
  for (const Signal& signal : testing::one_of_each()) {
    const auto object = body(drawn(signal)[0]);
    if (object.contains("embeds")) colours[signal.type()] = object.at("embeds").at(0).at("color").as_int64();
  }
  EXPECT_EQ(colours["incident.detected"], 0xE74C3C);
  EXPECT_EQ(colours["incident.resolved"], 0x2ECC71);
  EXPECT_EQ(colours["service.outage"], 0xE67E22);
  EXPECT_EQ(colours["threshold.crossed"], 0xF1C40F);
}

TEST(DiscordRender, SaysAHeartbeatInOneLine) {
  const auto signals = testing::one_of_each();
  const auto beat =
      std::find_if(signals.begin(), signals.end(), [](const Signal& s) { return s.type() == "heartbeat.ok"; });
  const auto object = body(drawn(*beat)[0]);
  EXPECT_FALSE(object.contains("embeds"));
  const std::string content = text(object, "content");
  EXPECT_EQ(content.find('\n'), std::string::npos);
  EXPECT_NE(content.find("load 0.42 · disk 63 % · memory 41 % · up 3 d"), std::string::npos) << content;
}

TEST(DiscordRender, ShowsCronOutputInAFenceWithItsExitCode) {
  for (const Signal& signal : testing::one_of_each()) {
    if (signal.type() != "cron.output") continue;
    const auto card = embed(drawn(signal)[0]);
    EXPECT_TRUE(text(card, "description").starts_with("```\ncopying…")) << card;
    EXPECT_NE(json::serialize(card.at("fields")).find("\"Exit code\",\"value\":\"2\""), std::string::npos);
  }
}

TEST(DiscordRender, AJobThatFailedWithoutAnExitCodeShowsNoneAndIsNoSuccess) {
  CronOutput cron;
  cron.set_title("morning look failed");
  cron.set_job("morning look");
  const Signal failed = testing::signal("cron.output", cron, ERROR);
  const auto card = embed(drawn(failed)[0]);
  EXPECT_EQ(json::serialize(card).find("Exit code"), std::string::npos) << card;
  EXPECT_NE(card.at("color").as_int64(), 0x2ECC71);
}

TEST(DiscordRender, ShowsAMemoryUpdateAsADiff) {
  for (const Signal& signal : testing::one_of_each()) {
    if (signal.type() != "memory.updated") continue;
    EXPECT_TRUE(text(embed(drawn(signal)[0]), "description").starts_with("```diff\n@@")) << drawn(signal)[0].payload;
  }
}

TEST(DiscordRender, SaysWhatIsLateAndWhatMayBeARepeat) {
  Signal signal = note("a title", "text");
  signal.set_created_ms(kWall - 6 * 3600 * 1000);
  Delivery late = delivery(signal);
  late.mutable_signals(0)->set_repeat_unproven(true);
  const auto messages = render(tell(late, kWall), {.channel = "x"});
  EXPECT_EQ(text(body(messages[0]), "content"), "⚪ **a title** · 6 h late (repeat?)");
}

TEST(DiscordRender, ASilentChannelSuppressesNotifications) {
  EXPECT_EQ(body(drawn(note("t", "b"), {.channel = "system", .silent = true})[0]).at("flags").as_int64() & (1 << 12),
            1 << 12);
  EXPECT_FALSE(body(drawn(note("t", "b"))[0]).contains("flags"));
}

bool buzzes(const Message& message) {
  const json::object object = body(message);
  const auto* flags = object.if_contains("flags");
  return !flags || (flags->as_int64() & (1 << 12)) == 0;
}

TEST(DiscordRender, WhatIsToBeAnsweredHereBuzzesEvenInASilentChannel) {
  for (const bool embeds : {true, false}) {
    for (const bool files : {true, false}) {
      for (const size_t length : {10, 9'000, 4'000'000}) {  // one message, several, and a file
        Signal question = note("deploy?", std::string(length, 'x'));
        question.set_needs_response(true);
        const auto messages = drawn(question, {.channel = "system", .silent = true, .embeds = embeds, .files = files});
        EXPECT_TRUE(buzzes(messages[0])) << messages[0].payload.substr(0, 300);
        for (size_t i = 1; i < messages.size(); ++i) EXPECT_FALSE(buzzes(messages[i])) << "one buzz is enough";
      }
    }
  }
}

TEST(DiscordRender, ACopyOfWhatIsAnsweredElsewhereStaysAsSilentAsItsChannel) {
  Signal question = note("deploy?", "yes or no");
  question.set_needs_response(true);
  Delivery copy = delivery(question);
  copy.mutable_signals(0)->set_copy(true);
  EXPECT_FALSE(buzzes(render(tell(copy, kWall), {.channel = "system", .silent = true})[0]));
  EXPECT_TRUE(buzzes(render(tell(copy, kWall), {.channel = "alerts"})[0]));
}

TEST(DiscordRender, NoncesDifferByPartAndChannelAndStayOverAttempts) {
  const Signal signal = note("long", std::string(9000, 'x'));
  std::set<std::string> nonces;
  for (const char* channel : {"a", "b"}) {
    const auto first = drawn(signal, {.channel = channel});
    ASSERT_GT(first.size(), 1U);
    auto again_delivery = delivery(signal, 99);
    again_delivery.set_attempt(5);
    const auto again = render(tell(again_delivery, kWall + 24LL * 3600 * 1000), {.channel = channel});
    ASSERT_EQ(first.size(), again.size());
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_TRUE(nonces.insert(text(body(first[i]), "nonce")).second);
      EXPECT_EQ(text(body(first[i]), "nonce"), text(body(again[i]), "nonce"));
    }
  }
}

TEST(DiscordRender, SendsAWebhookNoNonce) {
  const auto object = body(drawn(note("t", "b"), {.channel = "chat", .webhook = true})[0]);
  EXPECT_FALSE(object.contains("nonce") || object.contains("enforce_nonce"));
}

TEST(DiscordRender, AttachesAVeryLongBodyWithItsBeginning) {
  std::string long_body;
  while (long_body.size() < 4 * 1024 * 1024 - 100) long_body += "Paragraph with some words in it.\n\n";
  const auto messages = drawn(note("four megabytes", long_body));
  ASSERT_EQ(messages.size(), 1U);
  expect_within_limits(messages[0]);
  EXPECT_EQ(messages[0].file, long_body);
  EXPECT_EQ(messages[0].file_name, "body.md");
  EXPECT_EQ(body(messages[0]).at("attachments").at(0).at("filename").as_string(), "body.md");
  EXPECT_TRUE(text(embed(messages[0]), "description").starts_with("Paragraph with"));
}

TEST(DiscordRender, FallsBackToPlainMessagesOfOtherPartNumbers) {
  for (const Signal& signal : testing::one_of_each()) {
    for (const Message& message : drawn(signal, {.channel = "x", .embeds = false, .files = false})) {
      expect_within_limits(message);
      EXPECT_FALSE(body(message).contains("embeds"));
      if (signal.type() == "incident.detected") {
        EXPECT_TRUE(part_without_embeds(message.part));
        EXPECT_NE(text(body(message), "content").find("- **Host:** robo-server-1"), std::string::npos)
            << message.payload;
      }
    }
  }
  const auto cut = drawn(note("t", std::string(100'000, 'x')), {.channel = "x", .files = false});
  EXPECT_TRUE(cut[0].file.empty());
  EXPECT_TRUE(part_without_files(cut[0].part));
  EXPECT_NE(cut.back().payload.find("✂ cut"), std::string::npos);
}

TEST(DiscordRender, PutsTheThreadsMarkWhereItIsFoundAgain) {
  Signal signal = note("t", "b");
  signal.set_thread("incident-7");
  EXPECT_NE(drawn(signal)[0].payload.find(thread_mark("incident-7")), std::string::npos);
}

TEST(DiscordRender, HostileBodiesStayWithinLimitsAndPingNobody) {
  for (const std::string& hostile : testing::hostile_bodies()) {
    for (const Style& style : {Style{.channel = "x"}, Style{.channel = "x", .embeds = false, .files = false}}) {
      Note payload;
      payload.set_title(hostile.substr(0, 512));
      payload.set_body(hostile);
      for (int i = 0; i < 25; ++i) {
        auto* field = payload.add_fields();
        field->set_name(hostile.substr(0, 256));
        field->set_value(hostile.substr(0, 1024));
      }
      Signal signal = testing::signal("note.hostile", Note());
      // Past protobuf's own check of UTF-8 in strings, as an old journal may hold it.
      std::string bytes;
      payload.SerializePartialToString(&bytes);
      signal.set_payload(bytes);
      for (const Message& message : drawn(signal, style)) {
        expect_within_limits(message);
        testing::check_request("discord", "/channels/1/messages", message.payload);
      }
      for (const char* type : {"chat.message", "heartbeat.ok"}) {
        signal.set_type(type);
        for (const Message& message : drawn(signal, style)) {
          expect_within_limits(message);
          testing::check_request("discord", "/channels/1/messages", message.payload);
        }
      }
    }
  }
}

TEST(DiscordRender, RandomMarkdownStaysWithinLimits) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    std::mt19937_64 random(seed);
    for (const char* type : {"note.any", "chat.message", "heartbeat.ok"}) {
      const Signal signal =
          note(testing::random_markdown(random, 512).substr(0, 500), testing::random_markdown(random, 20000), type);
      for (const Message& message : drawn(signal, {.channel = "x", .embeds = seed % 3 != 0, .files = seed % 2 == 0})) {
        expect_within_limits(message);
        if (HasFailure()) FAIL() << "seed " << seed << ": " << message.payload;
        testing::check_request("discord", "/channels/1/messages", message.payload);
      }
    }
  }
}

}  // namespace
}  // namespace detent::discord
