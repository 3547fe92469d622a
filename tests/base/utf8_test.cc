#include "base/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace detent {
namespace {

TEST(Utf8, IsWellFormedOrNot) {
  for (const char* text : {"", "plain", "grüße", "\xf0\x9f\x94\xa7", "日本語 and more than eight bytes", "\uFFFE"})
    EXPECT_TRUE(is_utf8(text)) << text;
  for (const char* text : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "cut\xe6\x97", "\x80", "\xe0\x80\xaf"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

TEST(Utf8, FindsAnIllFormedByteWhereverItStands) {
  for (size_t size = 1; size < 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\xff';
      EXPECT_FALSE(is_utf8(text)) << size << " " << at;
      text.replace(at, 1, "ü");
      EXPECT_TRUE(is_utf8(text)) << size << " " << at;
    }
  }
}

TEST(Utf8, EveryIllFormedByteBecomesOneReplacementCharacter) {
  EXPECT_EQ(to_utf8("schön"), "schön");
  EXPECT_EQ(to_utf8("a\xff"
                    "b\xe2\x82"),
            "a\uFFFDb\uFFFD\uFFFD");
  EXPECT_EQ(to_utf8("\xc0\xaf"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(to_utf8("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
}

TEST(Utf8, AnyBytesBecomeWellFormed) {
  std::mt19937 random{11};
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 3 ? random() : "\xe2\x80\xf0\xc3\xff"[random() % 5]);
    EXPECT_TRUE(is_utf8(to_utf8(bytes))) << testing::PrintToString(bytes);
  }
}

TEST(Utf8, EveryCodePointIsReadAsItWasWritten) {
  for (char32_t point = 0; point <= 0x10FFFF; ++point) {
    std::string text;
    append_utf8(text, point);
    const Character read = first_character(text);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    ASSERT_EQ(read.point, surrogate ? kReplacement : point);
    ASSERT_EQ(read.size, text.size());
  }
  std::string text;
  append_utf8(text, 0x110000);
  EXPECT_EQ(text, "\uFFFD");
}

TEST(Utf8, CountsAsTheServicesDo) {
  EXPECT_EQ(code_points("aü日👍"), 4U);
  EXPECT_EQ(utf16_units("aü日👍"), 5U);
}

TEST(Utf8, KnowsHowWideATerminalShowsIt) {
  EXPECT_EQ(columns("abc"), 3U);
  EXPECT_EQ(columns("日本"), 4U);
  EXPECT_EQ(columns("e\u0301"), 1U);
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(head_of("ab€", 4), "ab");
  EXPECT_EQ(head_of("ab€", 5), "ab€");
  EXPECT_EQ(tail_of("ab€", 2), "");
  EXPECT_EQ(tail_of("ab€", 3), "€");
}

TEST(Utf8, KnowsWhatIsDrawnTogether) {
  EXPECT_TRUE(combines(U'e', 0x0301));
  EXPECT_TRUE(combines(0x1F44D, 0x1F3FD));  // a thumb and its skin
  EXPECT_TRUE(combines(0x200D, 0x1F469));   // joined into one picture
  EXPECT_FALSE(combines(U'a', U'b'));
}

}  // namespace
}  // namespace detent
