#include "consumers/text.h"

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "tests/consumers/stories.h"

namespace detent::consumers {
namespace {

TEST(Text, ShowsControlCharactersAsPictures) {
  EXPECT_EQ(harmless(std::string("a\0b\x01", 4)), "a\u2400b\u2401");
  EXPECT_EQ(harmless("a\x7f"), "a\u2421");
}

TEST(Text, DropsTerminalSequencesButNotALoneEscape) {
  EXPECT_EQ(harmless("\x1b[1;31mred\x1b[0m \x1b]0;title\x07ok"), "red ok");
  EXPECT_EQ(harmless("\x1b"), "\u241b");
}

TEST(Text, ReplacesWhatIsNotUtf8AndKeepsTheRest) {
  EXPECT_EQ(harmless("a\xff\xc3(\xe2\x82z"), "a\uFFFD\uFFFD(\uFFFD\uFFFDz");
  EXPECT_EQ(harmless("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(harmless("ü日👍"), "ü日👍");
}

TEST(Text, DropsWhatTurnsTheDirectionOfWriting) {
  EXPECT_EQ(harmless("a\u202Eb\u2066c\u2069d\u200Fe"), "abcde");
  EXPECT_EQ(harmless("שלום"), "שלום");
}

TEST(Text, IsAlwaysValidUtf8) {
  for (const std::string& body : testing::hostile_bodies()) EXPECT_TRUE(is_utf8(harmless(body)));
}

TEST(Text, CountsUtf16Units) {
  EXPECT_EQ(units("aü日"), 3U);
  EXPECT_EQ(units("👍"), 2U);
}

TEST(Text, ShortensToWholeCharacters) {
  EXPECT_EQ(shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(shorten("abcdefg", 6), "abcde…");
  EXPECT_EQ(shorten("👍👍👍", 4), "👍…");
  EXPECT_EQ(shorten("xe\u0301yz", 3), "x…");
}

TEST(Text, OneLineHasNoLineEnds) { EXPECT_EQ(one_line("  a\r\n b\t c \n"), "a b c"); }

TEST(Text, FingerprintsAreShortAndTellTextsApart) {
  EXPECT_EQ(fingerprint("a").size(), 25U);
  EXPECT_EQ(fingerprint("a"), fingerprint("a"));
  EXPECT_NE(fingerprint("a"), fingerprint("b"));
}

}  // namespace
}  // namespace detent::consumers
