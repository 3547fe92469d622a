#include "consumers/telegram/render.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <regex>

#include "base/utf8.h"
#include "consumers/text.h"
#include "tests/consumers/requests.h"
#include "tests/consumers/stories.h"

namespace detent::telegram {
namespace {

namespace json = boost::json;
using consumers::tell;
using testing::delivery;
using testing::kWall;
using testing::note;

std::vector<Message> drawn(const Signal& signal, Style style = {}) {
  return render(tell(delivery(signal), kWall), style);
}

std::string text_of(const std::string& payload) {
  const json::object object = json::parse(payload).as_object();
  const auto* text = object.if_contains("text");
  return std::string((text ? *text : object.at("caption")).as_string());
}

/// What Telegram shows of `html`: only known tags, closed in order, nothing unescaped. Nothing where it would be
/// refused.
std::optional<std::string> parsed(const std::string& html) {
  static const std::regex kTag(R"(<(/?)(b|i|s|code|pre|blockquote|a)( href="[^"<>]*"| class="language-[^"<>]*")?>)");
  std::string shown;
  std::vector<std::string> open;
  for (size_t i = 0; i < html.size();) {
    if (html[i] == '<') {
      std::cmatch match;
      if (!std::regex_search(html.data() + i, html.data() + html.size(), match, kTag,
                             std::regex_constants::match_continuous))
        return {};
      if (match[1].length() == 0) {
        open.push_back(match[2]);
      } else if (open.empty() || open.back() != match[2]) {
        return {};
      } else {
        open.pop_back();
      }
      i += match.length();
    } else if (html[i] == '&') {
      const size_t end = html.find(';', i);
      const std::string name = html.substr(i, end - i + 1);
      if (name == "&lt;")
        shown += '<';
      else if (name == "&gt;")
        shown += '>';
      else if (name == "&amp;")
        shown += '&';
      else
        return {};
      i = end + 1;
    } else {
      shown += html[i++];
    }
  }
  return open.empty() ? std::optional(shown) : std::nullopt;
}

void expect_within_limits(const Message& message) {
  const size_t limit = message.method == "sendDocument" ? 1024 : 4096;
  const std::string html = text_of(message.payload);
  ASSERT_TRUE(is_utf8(html));
  EXPECT_LE(html.size(), 32768U);
  const auto shown = parsed(html);
  ASSERT_TRUE(shown) << html;
  EXPECT_LE(consumers::units(*shown), limit);
  EXPECT_FALSE(consumers::one_line(*shown).empty());
  EXPECT_LE(consumers::units(text_of(message.plain)), limit);
  EXPECT_FALSE(json::parse(message.plain).as_object().contains("parse_mode"));
}

TEST(TelegramRender, ShowsEveryType) {
  for (const Signal& signal : testing::one_of_each()) {
    const auto messages = drawn(signal);
    ASSERT_EQ(messages.size(), 1U) << signal.type();
    expect_within_limits(messages[0]);
    EXPECT_TRUE(json::parse(messages[0].payload).at("link_preview_options").at("is_disabled").as_bool());
    json::object body = json::parse(messages[0].payload).as_object();
    body["chat_id"] = 1;
    testing::check_request("telegram", "/sendMessage", json::serialize(body));
  }
}

TEST(TelegramRender, KeepsThePlainFormFreeOfMarkup) {
  const auto messages = drawn(note("a <title>", "some **bold** & `code` [link](https://example.org)"));
  EXPECT_EQ(text_of(messages[0].plain),
            "⚪ a <title>\nsome bold & code link (https://example.org)\nrobo-server-1 · note.any");
  EXPECT_EQ(
      text_of(messages[0].payload),
      "⚪ <b>a &lt;title&gt;</b>\nsome <b>bold</b> &amp; <code>code</code> <a href=\"https://example.org\">link</a>\n"
      "<i>robo-server-1 · note.any</i>");
}

TEST(TelegramRender, MarksARepeat) {
  EXPECT_NE(text_of(drawn(note("t", "b"), {.repeat = true})[0].payload).find("<b>t</b> (repeat)"), std::string::npos);
}

TEST(TelegramRender, IsSilentBelowTheSeverityAsked) {
  Signal signal = note("t", "b");
  signal.set_severity(NOTICE);
  EXPECT_TRUE(
      json::parse(drawn(signal, {.silent_below = WARNING})[0].payload).as_object().contains("disable_notification"));
  EXPECT_FALSE(
      json::parse(drawn(signal, {.silent_below = NOTICE})[0].payload).as_object().contains("disable_notification"));
}

bool buzzes(const std::string& payload) { return !json::parse(payload).as_object().contains("disable_notification"); }

TEST(TelegramRender, WhatNeedsAResponseBuzzesWhateverItsSeverity) {
  for (const int silent_below : {int{INFO}, int{WARNING}, int{CRITICAL}, int{CRITICAL} + 1}) {
    for (const bool repeat : {false, true}) {
      for (const size_t length : {10, 9'000, 4'000'000}) {  // one message, several, and a file
        Signal question = note("deploy?", std::string(length, 'x'));
        question.set_needs_response(true);
        const auto messages = drawn(question, {.silent_below = silent_below, .repeat = repeat});
        EXPECT_TRUE(buzzes(messages[0].payload)) << silent_below << " " << length;
        EXPECT_TRUE(buzzes(messages[0].plain)) << silent_below << " " << length;
        for (size_t i = 1; i < messages.size(); ++i) EXPECT_FALSE(buzzes(messages[i].payload)) << "one buzz is enough";
      }
    }
  }
}

TEST(TelegramRender, SendsAVeryLongBodyAsADocumentWithCaption) {
  const std::string long_body(4'000'000, 'x');
  const auto messages = drawn(note("long", long_body));
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].method, "sendDocument");
  EXPECT_EQ(messages[0].file, long_body);
  expect_within_limits(messages[0]);
}

TEST(TelegramRender, HostileAndRandomTextStaysWithinLimits) {
  std::vector<Signal> signals;
  for (const std::string& body : testing::hostile_bodies()) {
    Signal signal = testing::signal("note.hostile", Note());
    Note payload;
    payload.set_title(body.substr(0, 512));
    payload.set_body(body);
    std::string bytes;
    payload.SerializePartialToString(&bytes);
    signal.set_payload(bytes);
    signals.push_back(std::move(signal));
  }
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    signals.push_back(note(testing::random_markdown(random, 500), testing::random_markdown(random, 20000)));
  }
  for (const Signal& signal : signals) {
    for (const Message& message : drawn(signal, {.repeat = true})) {
      expect_within_limits(message);
      json::object body = json::parse(message.payload).as_object();
      body["chat_id"] = 1;
      if (message.method == "sendDocument") body["document"] = "attach://file";
      testing::check_request("telegram", "/" + message.method, json::serialize(body));
    }
  }
}

}  // namespace
}  // namespace detent::telegram
