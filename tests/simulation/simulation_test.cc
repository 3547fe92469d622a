#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <iostream>

#include "tests/simulation/world.h"

namespace detent::test {

/// DETENT_SEED runs that one; DETENT_SEEDS says how many, from 1.
TEST(Simulation, KeepsItsPromisesUnderEverySeed) {
  spdlog::set_level(spdlog::level::err);  // dead letters are no news here
  uint64_t first = 1, count = 500;
  if (const char* seed = std::getenv("DETENT_SEED")) {
    first = std::strtoull(seed, nullptr, 10);
    count = 1;
  } else if (const char* seeds = std::getenv("DETENT_SEEDS")) {
    count = std::strtoull(seeds, nullptr, 10);
  }
  uint64_t crashes = 0, deliveries = 0, dead = 0, backlog = 0, expired = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    World world(seed);
    const std::string broken = world.run();
    ASSERT_EQ(broken, "") << "replay with: DETENT_SEED=" << seed << " build/dev/bin/test_simulation";
    crashes += world.crashes();
    deliveries += world.deliveries();
    dead += world.dead();
    backlog += world.backlog();
    expired += world.expired();
  }
  std::cout << count << " seeds, " << crashes << " broker crashes, " << deliveries << " deliveries, " << dead
            << " dead letters, " << backlog << " of them of a backlog, " << expired << " expired\n";
  if (count > 10) {
    EXPECT_GT(crashes, count / 2);
    EXPECT_GT(deliveries, count * 10);
    EXPECT_GT(dead, count);
    EXPECT_GT(backlog, 0u);
    EXPECT_GT(expired, 0u);
  }
}

}  // namespace detent::test
