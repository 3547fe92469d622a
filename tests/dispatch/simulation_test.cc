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

#include "tests/dispatch/day.h"

namespace detent::test {

/// DETENT_SEED runs that one, DETENT_SEEDS as many from the first on, both as many from that one on.
TEST(DispatchSimulation, EveryTaskHasOneEffectiveResultUnderEverySeed) {
  if (!std::getenv("DETENT_LOUD")) spdlog::set_level(spdlog::level::off);
  uint64_t first = 1, count = 200;
  if (const char* seed = std::getenv("DETENT_SEED")) {
    first = std::strtoull(seed, nullptr, 10);
    count = 1;
  }
  if (const char* seeds = std::getenv("DETENT_SEEDS")) count = std::strtoull(seeds, nullptr, 10);
  std::map<uint64_t, std::string> broken;
  Day::Counts all;
  std::mutex mutex;
  std::atomic<uint64_t> next = first;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
      threads.emplace_back([&] {
        for (uint64_t seed = next++; seed < first + count; seed = next++) {
          Day day(seed);
          const std::string what = day.run();
          const std::lock_guard lock(mutex);
          const auto& one = day.counts();
          all.crashes += one.crashes;
          all.attempts += one.attempts;
          all.succeeded += one.succeeded;
          all.failed += one.failed;
          all.fired += one.fired;
          all.outages += one.outages;
          all.retried += one.retried;
          if (what.empty()) continue;
          broken[seed] = what;
          next = first + count;
        }
      });
    }
  }
  for (const auto& [seed, what] : broken)
    ADD_FAILURE() << what << "\nreplay with: DETENT_SEED=" << seed << " build/dev/bin/test_dispatch";
  if (!broken.empty()) return;
  std::cout << count << " seeds: " << all.crashes << " crashes, " << all.attempts << " attempts, " << all.succeeded
            << " tasks succeeded and " << all.failed << " did not, " << all.retried << " were retried, " << all.fired
            << " by schedule, " << all.outages << " outages\n";
  if (count > 10) {
    EXPECT_GT(all.crashes, count);
    EXPECT_GT(all.succeeded, count);
    EXPECT_GT(all.failed, 0u);
    EXPECT_GT(all.fired, count);
    EXPECT_GT(all.outages, 0u);
    EXPECT_GT(all.retried, 0u);
  }
}

}  // namespace detent::test
