#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

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

namespace {

/// What many days had in them.
struct Sum {
  World::Counts world;
  SimulatedBroker::Counts broker;
  uint64_t faults = 0, looks = 0, digest = 0;
  uint64_t calls_failed = 0, fills = 0, calm = 0;  // of disks

  void add(const World& day) {
    digest += day.digest();
    const auto& one = day.counts();
    world.deliveries += one.deliveries;
    world.dead += one.dead;
    world.backlog += one.backlog;
    world.killers += one.killers;
    world.dropped += one.dropped;
    world.expired += one.expired;
    world.again += one.again;
    world.reloads += one.reloads;
    world.shown += one.shown;
    world.repeats += one.repeats;
    world.unknown += one.unknown;
    if (day.platforms()) {
      faults += day.platforms()->faults();
      looks += day.platforms()->looks();
    }
    const auto& its = day.broker_counts();
    broker.crashes += its.crashes;
    broker.sealed += its.sealed;
    broker.dropped += its.dropped;
    broker.dead_dropped += its.dead_dropped;
    broker.stops += its.stops;
    broker.failed_starts += its.failed_starts;
    broker.rotten_texts += its.rotten_texts;
    broker.rotten_snapshots += its.rotten_snapshots;
    calls_failed += day.disk_weather().failed();
    fills += day.disk_weather().filled();
    calm += !day.disk_weather().was_met();
  }
};

}  // namespace

/// DETENT_SEED runs that one, DETENT_SEEDS as many from the first on, both as many from that one on.
TEST(Simulation, KeepsItsPromisesUnderEverySeed) {
  if (!std::getenv("DETENT_LOUD"))
    spdlog::set_level(spdlog::level::off);  // dead letters and lost power are no news here
  uint64_t first = 1, count = 500;
  if (const char* seed = std::getenv("DETENT_SEED")) {
    first = std::strtoull(seed, nullptr, 10);
    count = 1;
  }
  if (const char* seeds = std::getenv("DETENT_SEEDS")) count = std::strtoull(seeds, nullptr, 10);
  // Each day is a world of its own, so as many are run at once as there are processors.
  Sum all;
  std::map<uint64_t, std::string> broken;  // by seed
  std::mutex mutex;
  std::atomic<uint64_t> next = first;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
      threads.emplace_back([&] {
        for (uint64_t seed = next++; seed < first + count; seed = next++) {
          World day(seed);
          const std::string what = day.run();
          const std::lock_guard lock(mutex);
          all.add(day);
          if (what.empty()) continue;
          broken[seed] = what;
          next = first + count;
        }
      });
    }
  }
  for (const auto& [seed, what] : broken)
    ADD_FAILURE() << what << "\nreplay with: DETENT_SEED=" << seed << " build/dev/bin/test_simulation";
  if (!broken.empty()) return;
  const World::Counts& sum = all.world;
  const SimulatedBroker::Counts& broker = all.broker;
  std::cout << count << " seeds: " << broker.crashes << " broker crashes, " << broker.sealed << " segments sealed, "
            << broker.dropped << " dropped, and " << broker.dead_dropped << " of dead letters; disks failed "
            << all.calls_failed << " calls and filled " << all.fills << " times, for which brokers stopped "
            << broker.stops << " times and did not start " << broker.failed_starts << " times, and " << all.calm
            << " had nothing; " << broker.rotten_texts << " texts and " << broker.rotten_snapshots
            << " snapshots rotted; " << sum.reloads << " reloads; " << sum.again << " signals published again, "
            << sum.deliveries << " deliveries, " << sum.dead << " dead letters, " << sum.backlog
            << " of them of a backlog, " << sum.dropped << " dropped, " << sum.expired << " expired; couriers met "
            << all.faults << " faults, " << sum.shown << " messages became visible, " << sum.repeats
            << " of them marked repeats, " << all.looks << " looks into a history, " << sum.unknown
            << " unknown; digest " << std::hex << all.digest << std::dec << "\n";
  if (count > 10) {
    EXPECT_GT(broker.crashes, count / 2);
    EXPECT_GT(broker.sealed, count);
    EXPECT_GT(broker.dropped, count);
    EXPECT_GT(broker.dead_dropped, 0u);
    EXPECT_GT(all.calls_failed, count);
    EXPECT_GT(all.fills, 0u);
    EXPECT_GT(broker.rotten_texts, 0u);
    EXPECT_GT(broker.rotten_snapshots, 0u);
    EXPECT_GT(sum.dropped, 0u);
    EXPECT_GT(sum.killers, 0u);
    EXPECT_GT(broker.stops, 0u);
    EXPECT_GT(broker.failed_starts, 0u);
    EXPECT_GT(all.calm, 0u);
    EXPECT_GT(sum.again, count);
    EXPECT_GT(sum.reloads, count);
    EXPECT_GT(sum.deliveries, count * 10);
    EXPECT_GT(sum.dead, count);
    EXPECT_GT(sum.backlog, 0u);
    EXPECT_GT(sum.expired, 0u);
    EXPECT_GT(sum.shown, count * 10);
    EXPECT_GT(sum.repeats, 0u);
    EXPECT_GT(sum.unknown, 0u);
    EXPECT_GT(all.looks, 0u);
  }
}

}  // namespace detent::test
