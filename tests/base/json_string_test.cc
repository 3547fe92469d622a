#include "base/json_string.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

#include "base/utf8.h"

namespace detent {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonString, ReadsBackAsItWas) {
  for (const std::string_view text : {"", "plain", "a \"quote\" and a \\", "tab\t line\n\x01\x7f", "Grüße, 日本, 🚀"}) {
    EXPECT_EQ(boost::json::parse(json(text)).as_string(), text);
  }
  const std::string long_text(10'000, '\n');
  EXPECT_EQ(boost::json::parse(json(long_text)).as_string(), long_text);
}

TEST(JsonString, AnyBytesMakeOneLineOfUtf8) {
  std::mt19937 random{7};
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % 4 ? random() : "\xe2\x80\"\\\n"[random() % 5]);
    const std::string text = json(bytes);
    boost::system::error_code failed;
    EXPECT_TRUE(boost::json::parse(text, failed).is_string() && !failed) << testing::PrintToString(bytes);
    EXPECT_TRUE(is_utf8(text));
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

TEST(JsonString, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(json("a\xff"
                 "b"),
            "\"a\uFFFDb\"");
}

}  // namespace
}  // namespace detent
