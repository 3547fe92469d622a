// What the broker answers, over a real session.
#include "broker/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/json.hpp>
#include <filesystem>
#include <thread>

#include "broker/process.h"
#include "bus/connection.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent {
namespace {

namespace json = boost::json;
using testing::SizeIs;

/// Someone who consumes over one session, and publishes and asks over another.
class Peer {
 public:
  Peer(const std::string& endpoint, const std::string& channel)
      : channel_(channel),
        consumer_(endpoint,
                  {.name = "peer", .role = Link::Role::Consumer, .channels = {channel}, .instance = random_instance()}),
        admin_(endpoint, {.name = "peer", .role = Link::Role::Admin, .instance = random_instance()}) {
    EXPECT_TRUE(until([this] { return consumer_.link().is_open() && admin_.link().is_open(); }));
    Credit credit;
    credit.set_channel(channel_);
    credit.set_count(100);
    credit.set_bytes(1 << 20);
    consumer_.link().send(Frame::kCredit, credit.SerializeAsString());
  }

  bool until(const std::function<bool()>& done) {
    const Millis deadline = system_now().mono + Millis{10'000};
    while (!done() && system_now().mono < deadline) {
      for (Connection* connection : {&consumer_, &admin_}) {
        connection->turn(Millis{5}, [this](const Link::Event& event, Now) { take(event); });
      }
    }
    return done();
  }
  Ulid publish(const std::string& type) {
    Note note;
    note.set_title("t");
    Signal signal;
    const Ulid id = ulids_.next(system_now().wall);
    signal.set_id(std::string(id.view()));
    signal.set_type(type);
    signal.set_payload(note.SerializeAsString());
    Publish publish;
    publish.set_first(++published_);
    publish.add_signals(signal.SerializeAsString());
    admin_.link().send(Frame::kPublish, publish.SerializeAsString());
    return id;
  }
  void settle(uint64_t delivery, Outcome outcome, const std::string& cause, uint32_t delay_ms = 0) {
    Settle settle;
    settle.set_channel(channel_);
    auto* one = settle.add_settled();
    one->set_delivery(delivery);
    one->set_outcome(outcome);
    one->set_cause(cause);
    one->set_delay_ms(delay_ms);
    consumer_.link().send(Frame::kSettle, settle.SerializeAsString());
  }
  json::value ask(const json::object& call) {
    AdminRequest ask;
    ask.set_json(json::serialize(call));
    answers.clear();
    admin_.link().send(Frame::kAdminRequest, ask.SerializeAsString());
    if (!until([this] { return !answers.empty(); }) || !answers[0].error().empty()) return {};
    return json::parse(answers[0].json());
  }

  std::vector<Delivery> delivered;
  std::vector<AdminReply> answers;

 private:
  void take(const Link::Event& event) {
    if (event.kind != Link::Event::Frame) return;
    const auto read = [&event](auto& message) {
      EXPECT_TRUE(message.ParseFromArray(event.body.data(), static_cast<int>(event.body.size())));
    };
    if (event.field == Frame::kDeliver) {
      Deliver deliver;
      read(deliver);
      for (const auto& delivery : deliver.deliveries()) {
        if (read_header(delivery.signals(0).signal()).type == "cron.output")
          delivered.push_back(delivery);  // no alarms
      }
    }
    if (event.field == Frame::kAdminReply) read(answers.emplace_back());
  }

  std::string channel_;
  Connection consumer_, admin_;
  UlidSource ulids_{random_instance()};
  uint64_t published_ = 0;
};

struct AdminTest : testing::Test {
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "detent-broker-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(pattern.data()));
    home = pattern;
    start();
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(home);
  }
  void start() {
    auto config = parse_config("state = \"" + (home / "state").string() +
                                   "\"\n[broker]\nlisten = \"tcp://127.0.0.1:*\"\nhttp = \"\"\nsegment = \"4MiB\"\n"
                                   "low_water = \"1MiB\"\n[telegram]\nchat = 1\n[discord.channels]\nsystem = \"4\"\n",
                               "test.toml");
    ASSERT_TRUE(config) << config.error().what;
    broker = std::make_unique<BrokerProcess>(std::move(*config), disk);
    loop = std::thread([this] { broker->run(); });
  }
  void stop() {
    if (!loop.joinable()) return;
    broker->stop();
    loop.join();
    broker.reset();
  }

  std::filesystem::path home;
  RealDisk disk;
  std::unique_ptr<BrokerProcess> broker;
  std::thread loop;
};

TEST_F(AdminTest, TellsWhyAChannelTriesAgain) {
  Peer peer(broker->endpoint(), "discord.system");
  const Ulid id = peer.publish("cron.output");
  ASSERT_TRUE(peer.until([&] { return peer.delivered.size() == 1; }));
  peer.settle(peer.delivered[0].id(), NOT_NOW, "discord 503", 60'000);
  const auto retrying = [&] {
    json::object all;
    const auto status = peer.ask({{"command", "status"}});
    for (const auto& channel : status.at("channels").as_array()) {
      if (const auto* why = channel.as_object().if_contains("retrying")) all[channel.at("name").as_string()] = *why;
    }
    return all;
  };
  EXPECT_TRUE(peer.until([&] { return retrying() == json::object{{"discord.system", "discord 503"}}; }));
  const auto story = peer.ask({{"command", "trace"}, {"id", id.text()}});
  EXPECT_EQ(story.at("channels").at(0).at("state"), "retrying");
  EXPECT_EQ(story.at("channels").at(0).at("cause"), "discord 503");
}

TEST_F(AdminTest, ADroppedDeadLetterStaysDroppedWhenTheBrokerStopsAtOnce) {
  {
    Peer peer(broker->endpoint(), "discord.system");
    for (int i = 0; i < 3; ++i) peer.publish("cron.output");
    ASSERT_TRUE(peer.until([&] { return peer.delivered.size() == 3; }));
    for (const auto& delivery : peer.delivered) peer.settle(delivery.id(), GIVEN_UP, "no");
    ASSERT_TRUE(peer.until([&] { return peer.ask({{"command", "dead.list"}}).at("total") == 3; }));
    const auto answer = peer.ask({{"command", "dead.drop"}, {"delivery", peer.delivered[0].id()}});
    EXPECT_EQ(answer, (json::value{{"dropped", 1}, {"of", 1}}));
  }
  stop();
  start();
  Peer peer(broker->endpoint(), "discord.system");
  EXPECT_EQ(peer.ask({{"command", "dead.list"}}).at("total"), 2);
  EXPECT_EQ(peer.ask({{"command", "dead.retry"}, {"all", true}}), (json::value{{"retried", 2}, {"of", 2}}));
  EXPECT_TRUE(peer.until([&] { return peer.delivered.size() == 2; }));
}

}  // namespace
}  // namespace detent
