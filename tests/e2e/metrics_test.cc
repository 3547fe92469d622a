// Dashboards depend on the names of metrics: docs/metrics.md is the list of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>

#include "tests/house/house.h"
#include "tests/support/paths.h"

namespace detent::house {

namespace {

std::set<std::string> all_matches(const std::string& text, const char* pattern) {
  const std::regex wanted(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), wanted), end; at != end; ++at) found.insert((*at)[1]);
  return found;
}

}  // namespace

TEST(Metrics, AreThoseOfTheirPageInTheDocs) {
  House house;
  house.start_broker();
  const std::string text = house.get("/metrics").body;
  std::ifstream in(test::source_folder() / "docs/metrics.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  const std::set<std::string> served = all_matches(text, "# TYPE ([a-z_]+) ");
  EXPECT_FALSE(served.empty());
  EXPECT_EQ(served, all_matches(page, "\\n\\| `([a-z_]+)"));
  for (const std::string& name : all_matches(text, "# TYPE ([a-z_]+) counter")) {
    EXPECT_THAT(name, testing::EndsWith("_total"));
  }
}

}  // namespace detent::house
