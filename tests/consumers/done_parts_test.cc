#include "consumers/done_parts.h"

#include <gtest/gtest.h>

namespace detent::consumers {
namespace {

std::vector<PartState> recalled(const DoneParts& done, const std::string& id, std::vector<PartState> parts = {}) {
  done.recall(id, parts);
  return parts;
}

TEST(DoneParts, OnlyWhatIsDoneIsRemembered) {
  DoneParts done;
  done.remember("a", {{.part = 1, .done = true, .message_id = "7"}, {.part = 2, .begun_ms = 5}});
  const auto parts = recalled(done, "a");
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].message_id, "7");
}

TEST(DoneParts, WhatIsRememberedTakesThePlaceOfWhatTheBrokerKnew) {
  DoneParts done;
  done.remember("a", {{.part = 1, .done = true}});
  const auto parts = recalled(done, "a", {{.part = 1, .begun_ms = 5}, {.part = 2, .begun_ms = 6}});
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].part, 2U);
  EXPECT_TRUE(parts[1].done);
}

TEST(DoneParts, PastItsBoundTheFirstOneIsForgotten) {
  DoneParts done(2);
  for (const char* id : {"a", "b", "c"}) done.remember(id, {{.part = 1, .done = true}});
  EXPECT_TRUE(recalled(done, "a").empty());
  EXPECT_FALSE(recalled(done, "b").empty());
}

TEST(DoneParts, WhatWasForgottenAndCameAgainCountsFromItsReturn) {
  DoneParts done(2);
  done.remember("a", {{.part = 1, .done = true}});
  done.forget("a");
  for (const char* id : {"b", "a", "c"}) done.remember(id, {{.part = 1, .done = true}});
  EXPECT_FALSE(recalled(done, "a").empty());
  EXPECT_TRUE(recalled(done, "b").empty());
}

}  // namespace
}  // namespace detent::consumers
