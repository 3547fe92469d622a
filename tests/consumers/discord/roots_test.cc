#include <gtest/gtest.h>

#include "consumers/discord/history.h"

namespace detent::discord {

TEST(Roots, KeepTheThousandUsedLast) {
  Roots roots;
  for (size_t i = 0; i < Roots::kMax; ++i) roots.add(std::to_string(i), {"message " + std::to_string(i)});
  ASSERT_NE(roots.find("0"), nullptr);
  roots.add("fresh", {"message"});
  EXPECT_EQ(roots.size(), Roots::kMax);
  EXPECT_NE(roots.find("0"), nullptr) << "it was used since";
  EXPECT_EQ(roots.find("1"), nullptr);
  EXPECT_NE(roots.find("fresh"), nullptr);
}

TEST(Roots, KeepTheOneThatIsThere) {
  Roots roots;
  roots.add("mark", {"first", true});
  roots.add("mark", {"second"});
  EXPECT_EQ(roots.find("mark")->message, "first");
  EXPECT_TRUE(roots.find("mark")->open);
}

}  // namespace detent::discord
