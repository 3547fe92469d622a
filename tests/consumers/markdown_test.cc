#include "consumers/markdown.h"

#include <gtest/gtest.h>

#include "consumers/discord/dialect.h"
#include "consumers/telegram/html.h"
#include "consumers/text.h"
#include "tests/consumers/stories.h"

namespace detent::consumers {
namespace {

std::string discord(const std::string& text) { return detent::discord::markdown(parse_markdown(text)); }
std::string telegram(const std::string& text) { return detent::telegram::html(parse_markdown(text)); }

TEST(Markdown, KeepsStylesOnBothPlatforms) {
  EXPECT_EQ(discord("a **b** *c* ~~d~~ `e`"), "a **b** *c* ~~d~~ `e`");
  EXPECT_EQ(telegram("a **b** *c* ~~d~~ `e`"), "a <b>b</b> <i>c</i> <s>d</s> <code>e</code>");
}

TEST(Markdown, DrawsNestedLists) {
  EXPECT_EQ(discord("1. one\n2. two\n   - deep\n"), "1. one\n2. two\n  - deep");
  EXPECT_EQ(telegram("- one\n  - deep\n- [x] done"), "• one\n  • deep\n☑ done");
}

TEST(Markdown, DrawsTablesAsAlignedCode) {
  EXPECT_EQ(discord("| a | long |\n|---|---|\n| wide cell | 1 |"),
            "```\na         | long\n----------+-----\nwide cell | 1\n```");
}

TEST(Markdown, LeavesNoMarkupThatTheTextDidNotMean) {
  EXPECT_EQ(discord("snake_case_name 2 * 3 * 4 a||b||"), "snake\\_case\\_name 2 \\* 3 \\* 4 a\\|\\|b\\|\\|");
  EXPECT_EQ(telegram("1 < 2 & 3 > 2"), "1 &lt; 2 &amp; 3 &gt; 2");
}

TEST(Markdown, KeepsMentionsFromBeingRead) { EXPECT_EQ(discord("<@123> <#5> <t:1:R>"), "\\<@123> \\<#5> \\<t:1:R>"); }

TEST(Markdown, DoesNotLetALinkPretendToBeAnother) {
  EXPECT_EQ(telegram("[https://bank.example](https://evil.example/x)"),
            "https://bank.example (<a href=\"https://evil.example/x\">https://evil.example/x</a>)");
  EXPECT_EQ(discord("[click](javascript:alert)"), "click (javascript:alert)");
  EXPECT_EQ(discord("[papers](https://example.org/a)"), "[papers](https://example.org/a)");
}

TEST(Markdown, KeepsCodeInsideItsFence) {
  const std::string out = discord("````\na\n```\nb @everyone\n````");
  EXPECT_EQ(out.find("```"), 0U);
  EXPECT_EQ(out.find("```", 3), out.size() - 3) << out;
}

TEST(Markdown, ReadsEntitiesWithoutTheirHarm) { EXPECT_EQ(telegram("&#x202E;a &lt;b&gt;"), "a &lt;b&gt;"); }

TEST(Markdown, ClosesAndReopensAFenceThatIsCut) {
  std::string code = "```py\n";
  for (int i = 0; i < 200; ++i) code += "print(" + std::to_string(i) + ")\n";
  const auto pages = paginate(parse_markdown(code + "```"), 1000, detent::discord::measure);
  ASSERT_GT(pages.size(), 1U);
  for (const auto& page : pages) {
    const std::string text = detent::discord::markdown(page);
    EXPECT_TRUE(text.starts_with("```py\nprint(")) << text;
    EXPECT_TRUE(text.ends_with(")\n```")) << text;
  }
}

TEST(Markdown, CutsAtBlocksBeforeItCutsThem) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "paragraph " + std::to_string(i) + " " + std::string(100, 'x') + "\n\n";
  for (const auto& page : paginate(parse_markdown(text), 900, detent::discord::measure)) {
    EXPECT_TRUE(detent::discord::markdown(page).starts_with("paragraph "));
  }
}

TEST(Markdown, TakesAHeadingAlongToTheNextPage) {
  const auto pages = paginate(parse_markdown(std::string(600, 'x') + "\n\n# Title\n\n" + std::string(600, 'y')), 700,
                              detent::discord::measure);
  ASSERT_EQ(pages.size(), 2U);
  EXPECT_EQ(pages[1][0].kind, Block::Kind::Heading);
}

TEST(Markdown, TakesDeepNestingInBoundedTime) {
  EXPECT_FALSE(parse_markdown(std::string(90 * 1024, '>') + "x").empty());
  parse_markdown(std::string(96 * 1024, '['));
  parse_markdown(std::string(96 * 1024, '*'));
}

/// The letters and digits of a text: what no drawing and no cutting may lose.
std::string letters(const std::string& text) {
  std::string out;
  for (const char byte : text) {
    if (std::isalnum(static_cast<unsigned char>(byte))) out += byte;
  }
  return out;
}

TEST(Markdown, PagesOfRandomTextFitAndLoseNothing) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const auto blocks = parse_markdown(testing::random_markdown(random, 20000));
    for (const auto& [measure, draw] : {std::pair(&detent::discord::measure, &detent::discord::markdown),
                                        std::pair(&detent::telegram::measure, &detent::telegram::html)}) {
      std::string all;
      for (const auto& page : paginate(blocks, 900, measure)) {
        const std::string shown = draw(page);
        size_t sum = 0;
        for (const Block& block : page) sum += measure(block) + 2;
        ASSERT_LE(sum, 902U) << "seed " << seed;
        if (draw == detent::discord::markdown) {
          ASSERT_LE(units(shown), 900U) << "seed " << seed;
        }
        for (const Block& block : page) {
          for (const consumers::Run& run : block.runs) all += letters(run.text);
          all += letters(block.code);
        }
      }
      std::string whole_text;
      for (const Block& block : blocks) {
        for (const consumers::Run& run : block.runs) whole_text += letters(run.text);
        whole_text += letters(block.code);
      }
      ASSERT_EQ(all, whole_text) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace detent::consumers
