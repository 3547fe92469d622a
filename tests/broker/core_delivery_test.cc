// Deliveries that do not go well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/broker/core_fixture.h"

namespace detent {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct CoreDeliveryTest : CoreTest {
  void open_circuit(Client& client, const std::string& channel, const std::string& why) {
    Settle settle;
    settle.set_channel(channel);
    settle.mutable_circuit()->set_open(true);
    settle.mutable_circuit()->set_why(why);
    client.link.send(Frame::kSettle, settle.SerializeAsString());
    turn();
  }
};

TEST_F(CoreDeliveryTest, HasNothingToDoForRetriesThatAreDueWhileTheCircuitIsOpen) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  open_circuit(alerts, "discord.alerts", "401: the token is wrong");
  settle(alerts, "discord.alerts", alerts.delivered[0].delivery(), NOT_NOW);
  now.mono += Millis{2000};
  core->tick(now);
  turn();
  EXPECT_THAT(alerts.delivered, SizeIs(1));
  EXPECT_GT(core->deadline(), now.mono);
}

TEST_F(CoreDeliveryTest, HasNothingToDoForRetriesThatAreDueAndHaveNoCredit) {
  auto& alerts = consumer("c", "discord.alerts", 1);
  publish(connect("p"), {signal()});
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[0].delivery(), NOT_NOW);
  now.mono += Millis{2000};
  core->tick(now);
  turn();
  EXPECT_GT(core->deadline(), now.mono);
  credit(alerts, "discord.alerts", 1);
  EXPECT_THAT(alerts.delivered, SizeIs(2));
}

TEST_F(CoreDeliveryTest, RemembersWhyDeliveriesComeBackUntilTheyDoNoMore) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal(), signal()});
  turn();
  const auto why = [&] { return core->health("discord.alerts").trouble; };
  const int64_t since = now.wall.count();
  settle(alerts, "discord.alerts", alerts.delivered[0].delivery(), NOT_NOW, "discord 503");
  EXPECT_EQ(why(), "discord 503");
  settle(alerts, "discord.alerts", alerts.delivered[1].delivery(), DELIVERED);
  EXPECT_EQ(why(), "discord 503") << "one still waits";
  now.mono += Millis{2000};
  now.wall += Millis{2000};
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[2].delivery(), NOT_NOW, "discord 502");
  EXPECT_EQ(why(), "discord 502");
  EXPECT_EQ(core->health("discord.alerts").trouble_since_ms, since);
  now.mono += Millis{3000};
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[3].delivery(), DELIVERED);
  EXPECT_EQ(why(), "");
}

TEST_F(CoreDeliveryTest, GivesTheCreditBackForWhatCannotBeRead) {
  auto& alerts = consumer("c", "discord.alerts", 1);
  publish(connect("p"), {signal(), signal()});
  turn();
  ASSERT_THAT(alerts.delivered, SizeIs(1));
  core->unreadable("discord.alerts", alerts.delivered[0].delivery(), now);
  turn();
  EXPECT_THAT(alerts.delivered, SizeIs(2));
  EXPECT_THAT(dead->letters(), SizeIs(1));
  EXPECT_TRUE(core->credit_is_sound());
}

TEST_F(CoreDeliveryTest, CountsADeathForWhatWasBegunAndNotForWhatWasHeldBesides) {
  options.max_losses = 3;
  restart();
  publish(connect("p"), {signal("incident.detected", "innocent"), signal("incident.detected", "poison"), signal()});
  turn();
  for (int i = 0; i < 3; ++i) {
    const std::string peer = "c" + std::to_string(i);
    auto& client = consumer(peer, "discord.alerts");
    ASSERT_THAT(client.delivered, SizeIs(3));
    begin(client, "discord.alerts", client.delivered[1].delivery());
    core->gone(peer, now);
  }
  turn();
  ASSERT_THAT(dead->letters(), SizeIs(1));
  EXPECT_EQ(payload_title(read_header(dead->read(dead->letters().begin()->first)->signal).payload), "poison");
}

TEST_F(CoreDeliveryTest, CountsADeathForTheFirstWhereNothingWasBegun) {
  options.max_losses = 3;
  restart();
  publish(connect("p"), {signal("incident.detected", "poison"), signal(), signal()});
  turn();
  for (int i = 0; i < 3; ++i) {
    const std::string peer = "c" + std::to_string(i);
    ASSERT_THAT(consumer(peer, "discord.alerts").delivered, SizeIs(3));
    core->gone(peer, now);
  }
  turn();
  ASSERT_THAT(dead->letters(), SizeIs(1));
  EXPECT_EQ(payload_title(read_header(dead->read(dead->letters().begin()->first)->signal).payload), "poison");
}

TEST_F(CoreDeliveryTest, DoesNotTakeAByeForADeath) {
  options.max_losses = 3;
  restart();
  publish(connect("p"), {signal(), signal()});
  turn();
  for (int i = 0; i < 5; ++i) {
    auto& client = consumer("c" + std::to_string(i), "discord.alerts");
    ASSERT_THAT(client.delivered, SizeIs(2));
    begin(client, "discord.alerts", client.delivered[0].delivery());
    client.link.send(Frame::kBye, Bye().SerializeAsString());
    turn();
  }
  EXPECT_THAT(dead->letters(), IsEmpty());
}

TEST_F(CoreDeliveryTest, RefusesAPartOverItsLimitsAndKeepsNothingOfIt) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  Begun begun;
  begun.set_channel("discord.alerts");
  begun.set_delivery(alerts.delivered[0].delivery());
  begun.mutable_part()->set_part(1);
  begun.mutable_part()->set_link(std::string(1 << 20, 'l'));
  alerts.link.send(Frame::kBegun, begun.SerializeAsString());
  turn();
  EXPECT_THAT(alerts.refused, HasSubstr("over the limit of 512"));
  EXPECT_THAT(core->channels().find("discord.alerts")->second.parts, IsEmpty());
}

TEST_F(CoreDeliveryTest, MasksWhatAConsumerSaysOfItsTroubles) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal(), signal()});
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[0].delivery(), GIVEN_UP, "the secret is wrong");
  settle(alerts, "discord.alerts", alerts.delivered[1].delivery(), NOT_NOW, "a secret");
  open_circuit(alerts, "discord.alerts", "no secret");
  EXPECT_EQ(dead->read(dead->letters().begin()->first)->cause, "the ****** is wrong");
  EXPECT_EQ(core->health("discord.alerts").trouble, "a ******");
  EXPECT_EQ(core->health("discord.alerts").why, "no ******");
}

}  // namespace
}  // namespace detent
