// The broker's descriptors are used up for a while: nothing is lost, and it goes on by itself.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>

#include "tests/house/house.h"

namespace detent::house {
namespace {

/// From now on the process cannot open another file.
void use_up(pid_t pid) {
  rlimit limit{};
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, nullptr, &limit), 0);
  limit.rlim_cur = 0;
  while (std::filesystem::is_symlink("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(limit.rlim_cur)))
    ++limit.rlim_cur;
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, &limit, nullptr), 0);
}

void give_back(pid_t pid) {
  rlimit limit{};
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, nullptr, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, &limit, nullptr), 0);
}

TEST(UsedUpDescriptors, CostNoSignalAndNoTextOfADeadLetter) {
  House house({.broker = "segment = \"1MiB\"\n"});
  house.start_broker();
  house.start_consumers();  // all of them: the alarms that it raises are delivered too
  house.publish({.type = "cron.output", .title = "All are connected"});
  ASSERT_TRUE(house.settled());
  const pid_t broker = house.process("broker").pid();
  std::atomic<int> durable = 0, refused = 0;
  const std::string body(20'000, 'b');
  const auto load = [&](int first, int count) {
    for (int i = first; i < first + count; ++i) {
      const Built built = house.build({.type = "cron.output", .title = "Number " + std::to_string(i), .body = body});
      const auto taken = house.publisher().publish(
          built.signal, [&](const Publisher::Outcome& outcome) { ++(outcome.durable() ? durable : refused); });
      ASSERT_TRUE(taken.has_value()) << taken.error().what;
    }
  };
  use_up(broker);
  load(0, 200);  // several segments, each of which must be opened to be written and to be read
  ASSERT_TRUE(eventually([&] { return house.log("broker").find("Too many open files") != std::string::npos; }));
  ASSERT_TRUE(house.process("broker").running());
  give_back(broker);
  ASSERT_TRUE(house.publisher().flush(Millis{60'000})) << house.publisher().obstacle();
  ASSERT_TRUE(house.settled(Millis{120'000}));
  EXPECT_EQ(durable, 200);
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(house.status().at("counters").at("dead_letters").to_number<int>(), 0);
  const json::array system = house.discord("system");
  for (int i = 0; i < 200; ++i) EXPECT_EQ(House::count(system, "**Number " + std::to_string(i) + "**"), 1u) << i;
  house.stop_all();
  house.expect_a_whole_ledger();
}

}  // namespace
}  // namespace detent::house
