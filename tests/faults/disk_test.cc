// A full disk: publishers are told and keep their signals, what was taken in is delivered all the same, and when there
// is room again all goes on by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <atomic>
#include <fstream>

#include "tests/house/house.h"

namespace detent::house {

namespace {

using testing::HasSubstr;

/// A disk of its own, small enough to be filled.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size) {
    std::string name = (std::filesystem::temp_directory_path() / "detent-disk-XXXXXX").string();
    if (!mkdtemp(name.data())) throw Failure(system_error("cannot make " + name, errno).what);
    folder_ = name;
    if (mount("tmpfs", name.c_str(), "tmpfs", 0, ("size=" + size).c_str()) != 0)
      why_ = system_error("mount", errno).what;
  }
  ~SmallDisk() {
    if (why_.empty()) umount2(folder_.c_str(), MNT_DETACH);
    std::error_code ignored;  // an empty folder in /tmp is no failure of what was tested
    std::filesystem::remove(folder_, ignored);
  }

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& why() const { return why_; }
  uint64_t free() const { return std::filesystem::space(folder_).available; }

  /// Leaves `bytes` free; what does not fit any more is no error.
  void fill(uint64_t bytes) {
    std::ofstream filler(folder_ / "filler", std::ios::binary | std::ios::app);
    const std::string block(64 << 10, 'f');
    while (free() > bytes && filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void empty() { std::filesystem::remove(folder_ / "filler"); }

 private:
  std::filesystem::path folder_;
  std::string why_;
};

constexpr uint64_t kMiBytes = 1 << 20;

class AFullDisk : public testing::Test {
 protected:
  void SetUp() override {
    if (!disk.why().empty()) GTEST_SKIP() << "needs root to mount a small disk: " << disk.why();
    house = std::make_unique<House>(
        Plan{.broker = "segment = \"4MiB\"\nlow_water = \"24MiB\"\n", .state = disk.folder() / "state"});
    house->start_broker();
    house->start_telegram();
  }

  bool low() { return house->status().at("journal").at("disk_low").as_bool(); }
  void publish(const std::string& title) {
    const Built built = house->build({.type = "cron.output", .title = title});
    ASSERT_TRUE(house->publisher().publish(
        built.signal, [this](const Publisher::Outcome& outcome) { ++(outcome.durable() ? durable : refused); }));
  }

  SmallDisk disk{"128m"};
  std::unique_ptr<House> house;
  std::atomic<int> durable = 0, refused = 0;
};

}  // namespace

TEST_F(AFullDisk, HoldsPublishersWhileSettlingGoesOnAndEndsByItself) {
  for (int i = 0; i < 20; ++i) house->publish({.type = "cron.output", .title = "Before " + std::to_string(i)});
  disk.fill(12 * kMiBytes);
  ASSERT_TRUE(eventually([&] { return low(); })) << disk.free();

  for (int i = 0; i < 10; ++i) publish("Kept " + std::to_string(i));
  ASSERT_TRUE(eventually([&] { return house->publisher().obstacle().find("disk is low") != std::string::npos; }))
      << house->publisher().obstacle();
  EXPECT_EQ(durable, 0);
  EXPECT_EQ(house->get("/healthz").status, 503);
  const auto by_http = house->post("/v1/signals", R"({"type":"cron.output","title":"By HTTP"})");
  EXPECT_EQ(by_http.status, 503);
  EXPECT_THAT(by_http.body, HasSubstr("DISK_LOW"));
  const Ended by_hand = house->detent({"publish", "cron.output", "By hand", "--deadline", "2s"});
  EXPECT_EQ(by_hand.code, 1) << by_hand.output;

  // What was taken in before goes out, and the phone says what is wrong.
  house->start_discord({"system", "alerts"});
  ASSERT_TRUE(eventually([&] { return house->discord("system").size() == 20; }));
  ASSERT_TRUE(eventually([&] { return house->status_of("discord.system").at("pending").to_number<int>() == 0; }));
  EXPECT_TRUE(eventually([&] { return House::count(house->telegram(), "disk is low") == 1; }));
  EXPECT_EQ(durable, 0);

  disk.empty();
  ASSERT_TRUE(house->publisher().flush(Millis{30'000})) << house->publisher().obstacle();
  EXPECT_EQ(durable, 10);
  EXPECT_EQ(refused, 0);
  ASSERT_TRUE(house->settled());
  const json::array system = house->discord("system");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(House::count(system, "**Kept " + std::to_string(i) + "**"), 1u);
  EXPECT_EQ(house->get("/healthz").status, 200);
  EXPECT_TRUE(eventually([&] { return House::count(house->telegram(), "resolved: the broker's disk has room") == 1; }));
  house->stop_all();
  house->expect_a_whole_ledger();
}

TEST_F(AFullDisk, WithoutAByteLeftABrokerStartsAndDelivers) {
  for (int i = 0; i < 100; ++i)
    house->publish({.type = "cron.output", .title = "Before " + std::to_string(i), .body = std::string(20'000, 'b')});
  for (int starts = 0; starts < 3; ++starts) {
    disk.fill(0);
    house->kill("broker");
    house->start_broker();
  }
  EXPECT_TRUE(low());
  house->start_discord({"system", "alerts"});
  ASSERT_TRUE(eventually([&] { return house->status_of("discord.system").at("pending").to_number<int>() == 0; }));
  const json::array system = house->discord("system");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(House::count(system, "**Before " + std::to_string(i) + "**"), 1u) << i;
  disk.empty();
  house->publish({.type = "cron.output", .title = "There is room again"});
  ASSERT_TRUE(house->settled());
  house->stop_all();
  house->expect_a_whole_ledger();
}

TEST_F(AFullDisk, ToTheLastByteUnderLoadLosesNothingAcknowledged) {
  house->start_discord({"system", "alerts"});
  const std::string body(20'000, 'b');
  const auto load = [&](const std::string& what, int count) {
    for (int i = 0; i < count; ++i) {
      const Built built = house->build({.type = "cron.output", .title = what + " " + std::to_string(i), .body = body});
      const auto taken = house->publisher().publish(
          built.signal, [this](const Publisher::Outcome& outcome) { ++(outcome.durable() ? durable : refused); });
      ASSERT_TRUE(taken.has_value()) << taken.error().what;
    }
  };
  load("Early", 100);
  disk.fill(0);  // all at once, before the broker has looked again
  load("Late", 200);
  ASSERT_TRUE(eventually([&] { return !house->process("broker").running() || low(); }));
  ASSERT_TRUE(house->process("broker").running()) << "a full disk is no reason to end";
  ASSERT_TRUE(eventually(
      [&] { return house->publisher().obstacle().find("disk is low") != std::string::npos || durable == 300; }));
  // A crash in the middle of it changes nothing.
  house->kill("broker");
  house->start_broker();
  disk.empty();
  ASSERT_TRUE(house->publisher().flush(Millis{60'000})) << house->publisher().obstacle();
  EXPECT_EQ(durable, 300);
  EXPECT_EQ(refused, 0);
  ASSERT_TRUE(house->settled(Millis{120'000}));
  const json::array system = house->discord("system");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(House::count(system, "**Early " + std::to_string(i) + "**"), 1u) << i;
  for (int i = 0; i < 200; ++i) EXPECT_EQ(House::count(system, "**Late " + std::to_string(i) + "**"), 1u) << i;
  house->stop_all();
  house->expect_a_whole_ledger();
}

}  // namespace detent::house
