#include "consumers/telegram/config.h"

#include <gmock/gmock.h>

#include "config/config.h"

namespace detent::telegram {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TelegramConfig, WithoutAChatThereIsNoChannel) {
  const Config none = *parse_config("", "detent.toml");
  EXPECT_THAT(none.of<Settings>().channels(), IsEmpty());
  EXPECT_THAT(none.of<Settings>().secrets(), IsEmpty());
  EXPECT_EQ(none.remedy_for("telegram"), "set [telegram] chat");
}

TEST(TelegramConfig, AChatMakesTheChannel) {
  const Config config = *parse_config("[telegram]\nchat = -100123\nsilent_below = \"error\"\n", "detent.toml");
  EXPECT_EQ(config.of<Settings>().chat, -100123);
  EXPECT_EQ(config.of<Settings>().silent_below, 3);
  EXPECT_THAT(config.of<Settings>().channels(), ElementsAre("telegram"));
  EXPECT_EQ(config.of<Settings>().secrets().size(), 1U);
}

}  // namespace
}  // namespace detent::telegram
