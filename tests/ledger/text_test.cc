#include "ledger/text.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

namespace detent {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

TEST(Text, JsonStringsReadBackAsTheyWere) {
  for (const std::string_view text : {"", "plain", "a \"quote\" and a \\", "tab\t line\n\x01\x7f", "Grüße, 日本, 🚀"}) {
    EXPECT_EQ(boost::json::parse(json(text)).as_string(), text);
  }
}

TEST(Text, AnyBytesMakeAJsonStringOfOneLine) {
  std::mt19937 random{7};
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % 4 ? random() : "\xe2\x80\"\\\n"[random() % 5]);
    const std::string text = json(bytes);
    boost::system::error_code failed;
    EXPECT_TRUE(boost::json::parse(text, failed).is_string() && !failed) << testing::PrintToString(bytes);
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

TEST(Text, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(json("a\xff"
                 "b"),
            "\"a\xEF\xBF\xBD"
            "b\"");
  EXPECT_EQ(json("\xc0\xaf"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");      // overlong
  EXPECT_EQ(json("\xed\xa0\x80").find('\xed'), std::string::npos);  // a surrogate
}

TEST(Text, TimesAreIsoWithMillis) {
  std::string out;
  append_json_time(out, Millis{1'795'356'127'045});
  EXPECT_EQ(out, "\"" + utc_millis(Millis{1'795'356'127'045}) + "\"");
}

TEST(Text, Base64ReadsBackForEveryLength) {
  std::mt19937 random{1};
  std::string bytes;
  for (int length = 0; length < 100; ++length, bytes.push_back(static_cast<char>(random()))) {
    EXPECT_EQ(from_base64(base64(bytes)), bytes);
  }
  EXPECT_EQ(base64("Man"), "TWFu");
  EXPECT_EQ(base64("Ma"), "TWE=");
  EXPECT_EQ(base64("M"), "TQ==");
}

TEST(Text, Base64OfAnyOtherFormIsRefused) {
  for (const std::string_view text : {"TWE", "TWF=", "TQ=", "T===", "TW E", "TR==", "TWFu\n"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

TEST(Text, OneLineHasNoControlsAndNoDirectionMarks) {
  EXPECT_EQ(one_line("a\nb\r\n c\t\x01"
                     "d\x7f",
                     80),
            "a b c d");
  EXPECT_EQ(one_line("left\u202Eright\u2028next\u200B.", 80), "left right next .");
  EXPECT_EQ(one_line("\n\n  ", 80), "");
}

TEST(Text, OneLineIsCutAtACharacter) {
  EXPECT_EQ(one_line("äöüß", 4), "äöüß");
  EXPECT_EQ(one_line("äöüßx", 4), "äöü…");
  EXPECT_EQ(one_line("🚀🚀🚀", 2), "🚀…");
}

}  // namespace
}  // namespace detent
