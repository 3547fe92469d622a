#include "ledger/text.h"

#include <gtest/gtest.h>

namespace detent {
namespace {

TEST(Text, TimesAreIsoWithMillis) {
  std::string out;
  append_json_time(out, Millis{1'795'356'127'045});
  EXPECT_EQ(out, "\"" + utc_millis(Millis{1'795'356'127'045}) + "\"");
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
