#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <iostream>

#include "tests/simulation/world.h"

namespace detent::test {

TEST(Simulation, ASeedGivesTheSameBytesAgain) {
  spdlog::set_level(spdlog::level::off);
  const auto digest = [](uint64_t seed) {
    World world(seed);
    EXPECT_EQ(world.run(), "") << "seed " << seed;
    return world.digest();
  };
  for (uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(digest(seed), digest(seed)) << "seed " << seed;
  EXPECT_NE(digest(1), digest(2));
}

/// DETENT_SEED runs that one; DETENT_SEEDS says how many, from 1.
TEST(Simulation, KeepsItsPromisesUnderEverySeed) {
  spdlog::set_level(spdlog::level::off);  // dead letters and lost power are no news here
  uint64_t first = 1, count = 500;
  if (const char* seed = std::getenv("DETENT_SEED")) {
    first = std::strtoull(seed, nullptr, 10);
    count = 1;
  } else if (const char* seeds = std::getenv("DETENT_SEEDS")) {
    count = std::strtoull(seeds, nullptr, 10);
  }
  World::Counts sum;
  SimulatedBroker::Counts broker;
  uint64_t faults = 0, looks = 0, digest = 0;
  uint64_t calls_failed = 0, fills = 0, calm = 0;  // of disks
  for (uint64_t seed = first; seed < first + count; ++seed) {
    World world(seed);
    const std::string broken = world.run();
    ASSERT_EQ(broken, "") << "replay with: DETENT_SEED=" << seed << " build/dev/bin/test_simulation";
    digest = digest * 31 + world.digest();
    const auto& one = world.counts();
    sum.deliveries += one.deliveries;
    sum.dead += one.dead;
    sum.backlog += one.backlog;
    sum.expired += one.expired;
    sum.again += one.again;
    sum.shown += one.shown;
    sum.repeats += one.repeats;
    sum.unknown += one.unknown;
    if (world.platforms()) {
      faults += world.platforms()->faults();
      looks += world.platforms()->looks();
    }
    const auto& its = world.broker_counts();
    broker.crashes += its.crashes;
    broker.sealed += its.sealed;
    broker.dropped += its.dropped;
    broker.dead_dropped += its.dead_dropped;
    broker.stops += its.stops;
    broker.failed_starts += its.failed_starts;
    calls_failed += world.disk_weather().failed();
    fills += world.disk_weather().filled();
    calm += !world.disk_weather().was_met();
  }
  std::cout << count << " seeds: " << broker.crashes << " broker crashes, " << broker.sealed << " segments sealed, "
            << broker.dropped << " dropped, and " << broker.dead_dropped << " of dead letters; disks failed "
            << calls_failed << " calls and filled " << fills << " times, for which brokers stopped " << broker.stops
            << " times and did not start " << broker.failed_starts << " times, and " << calm << " had nothing; "
            << sum.again << " signals published again, " << sum.deliveries << " deliveries, " << sum.dead
            << " dead letters, " << sum.backlog << " of them of a backlog, " << sum.expired << " expired; couriers met "
            << faults << " faults, " << sum.shown << " messages became visible, " << sum.repeats
            << " of them marked repeats, " << looks << " looks into a history, " << sum.unknown << " unknown; digest "
            << std::hex << digest << std::dec << "\n";
  if (count > 10) {
    EXPECT_GT(broker.crashes, count / 2);
    EXPECT_GT(broker.sealed, count);
    EXPECT_GT(broker.dropped, count);
    EXPECT_GT(broker.dead_dropped, 0u);
    EXPECT_GT(calls_failed, count);
    EXPECT_GT(fills, 0u);
    EXPECT_GT(broker.stops, 0u);
    EXPECT_GT(broker.failed_starts, 0u);
    EXPECT_GT(calm, 0u);
    EXPECT_GT(sum.again, count);
    EXPECT_GT(sum.deliveries, count * 10);
    EXPECT_GT(sum.dead, count);
    EXPECT_GT(sum.backlog, 0u);
    EXPECT_GT(sum.expired, 0u);
    EXPECT_GT(sum.shown, count * 10);
    EXPECT_GT(sum.repeats, 0u);
    EXPECT_GT(sum.unknown, 0u);
    EXPECT_GT(looks, 0u);
  }
}

}  // namespace detent::test
