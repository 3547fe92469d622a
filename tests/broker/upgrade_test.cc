// A state that a program of format version 1 left behind (0.1.0, killed at work): tests/broker/upgrade/state-1.tar.gz.
// In it, by title: "Open 1" to "Open 3" were never handed out, "Tried before" came back from Discord, "Begun, and a
// copy" was handed to Telegram and never answered, and "Dead letter" is one of discord.system, with its alarm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "broker/broker.h"
#include "broker/config.h"
#include "host/host.h"
#include "ledger/config.h"
#include "proto/signal_validator.h"
#include "tests/running/running.h"
#include "tests/support/paths.h"

namespace detent::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class AnUpgrade : public testing::Test {
 protected:
  AnUpgrade() {
    Config config = *parse_config("[discord.channels]\nalerts = \"1\"\nsystem = \"2\"\n[telegram]\nchat = 1\n", {});
    config.state = running.config.state;
    config.of<BrokerConfig>() = running.config.of<BrokerConfig>();
    config.of<LedgerConfig>() = running.config.of<LedgerConfig>();
    running.config = config;
    running.config.of<BrokerConfig>().max_backlog.age = std::chrono::hours{24 * 365 * 100};
    const std::filesystem::path folder = testing::TempDir() + "upgrade-" + std::to_string(random_instance());
    std::filesystem::create_directories(folder);
    const auto archive = source_folder() / "tests/broker/upgrade/state-1.tar.gz";
    EXPECT_EQ(std::system(("tar xzf " + archive.string() + " -C " + folder.string()).c_str()), 0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      running.disk.set_content(std::filesystem::relative(entry.path(), folder).string(),
                               {std::istreambuf_iterator<char>(in), {}});
    }
    std::filesystem::remove_all(folder);
  }

  /// Settles all that a channel hands out until nothing of it is open, and tells the titles of what was not Detent's
  /// own.
  std::vector<std::string> take_all(const std::string& channel) {
    Caller consumer(running.endpoint(), Link::Role::Consumer, {channel});
    consumer.credit(channel, 1000);
    std::vector<std::string> titles;
    size_t settled = 0;
    EXPECT_TRUE(consumer.until([&] {
      for (; settled < consumer.deliveries.size(); ++settled) {
        const Delivery& delivery = consumer.deliveries[settled];
        const SignalHeader head = read_header(delivery.signals(0).signal());
        if (head.source != "detent") {
          titles.emplace_back(payload_title(head.payload));
          handed_out[titles.back()] = delivery;
        }
        consumer.settle(channel, delivery.id());
      }
      return pending(channel) == 0;
    }));
    return titles;
  }

  int64_t pending(const std::string& channel) {
    const auto status = running.status();
    for (const auto& one : status.at("channels").as_array()) {
      if (one.at("name").as_string() == channel) return one.at("pending").to_number<int64_t>();
    }
    return -1;
  }

  Running running;
  std::map<std::string, Delivery> handed_out;
};

TEST_F(AnUpgrade, DeliversWhatWasOpenOnceAndNothingElse) {
  running.start();
  EXPECT_THAT(take_all("discord.alerts"), ElementsAre("Tried before"));
  EXPECT_THAT(take_all("discord.system"), UnorderedElementsAre("Open 1", "Open 2", "Open 3", "Begun, and a copy"));
  EXPECT_TRUE(handed_out.at("Begun, and a copy").signals(0).copy());
  EXPECT_THAT(take_all("telegram"), ElementsAre("Begun, and a copy"));
  const Delivery& begun = handed_out.at("Begun, and a copy");
  EXPECT_FALSE(begun.signals(0).copy());
  ASSERT_EQ(begun.parts_size(), 1);
  EXPECT_EQ(begun.parts(0).part(), 1U);
  EXPECT_FALSE(begun.parts(0).done());
  running.stop();
  running.start();
  for (const char* channel : {"telegram", "discord.alerts", "discord.system"}) {
    EXPECT_THAT(take_all(channel), ElementsAre()) << channel;
  }
}

TEST_F(AnUpgrade, ShowsItsDeadLetterAndBringsItBack) {
  running.start();
  take_all("discord.system");
  {
    Caller operator_(running.endpoint());
    const auto list = operator_.ask({{"command", "dead.list"}});
    ASSERT_EQ(list.at("total").to_number<int>(), 1) << list;
    const auto delivery = list.at("letters").at(0).at("delivery").to_number<uint64_t>();
    const auto letter = operator_.ask({{"command", "dead.show"}, {"delivery", delivery}});
    EXPECT_EQ(letter.at("signals").at(0).at("body").as_string(), "its whole text");
    EXPECT_EQ(letter.at("cause").as_string(), "discord 50013: Missing Permissions");
    const auto retried = operator_.ask({{"command", "dead.retry"}, {"delivery", delivery}});
    EXPECT_EQ(retried.at("retried").to_number<int>(), 1) << retried;
  }
  EXPECT_THAT(take_all("discord.system"), ElementsAre("Dead letter"));
  const auto status = running.status();
  for (const auto& alarm : status.at("alarms").as_array())
    EXPECT_NE(alarm.at("name").as_string(), "dead-letters/discord.system");
}

TEST_F(AnUpgrade, KnowsTheIdsOfSignalsThatTheJournalHasLetGo) {
  auto ids = Host::open_ids(running.disk, "state", [](const IdDamage& damage) { ADD_FAILURE() << damage.file; });
  ASSERT_TRUE(ids);
  SignalId id{};
  const auto delivered = Ulid::parse("01M8DA7S41ABA2HSPQ9W9MGK5Z");  // "Delivered 1"
  ASSERT_TRUE(delivered);
  std::copy(delivered->view().begin(), delivered->view().end(), id.begin());
  const auto known = ids->insert(id, 1);
  ASSERT_TRUE(known);
  EXPECT_TRUE(known->has_value());
}

TEST_F(AnUpgrade, IsNotUndoneByTheProgramBefore) {
  running.start();
  take_all("discord.system");
  running.stop();
  uint32_t newest = 0;
  for (const auto& name : running.files("journal")) {
    if (!name.ends_with(".segment")) continue;
    auto file = running.disk.open("state/journal/" + name, OpenMode::kRead).value();
    ASSERT_TRUE(file->read(8, {reinterpret_cast<char*>(&newest), sizeof newest}));
  }
  EXPECT_EQ(newest, 2U) << "a program that knows version 1 alone refuses it, and says why";
}

}  // namespace
}  // namespace detent::test
