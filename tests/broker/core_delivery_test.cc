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
  settle(alerts, "discord.alerts", alerts.delivered[0].id(), NOT_NOW);
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
  settle(alerts, "discord.alerts", alerts.delivered[0].id(), NOT_NOW);
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
  const auto why = [&] { return core->deliveries().health("discord.alerts").trouble; };
  const int64_t since = now.wall.count();
  settle(alerts, "discord.alerts", alerts.delivered[0].id(), NOT_NOW, "discord 503");
  EXPECT_EQ(why(), "discord 503");
  settle(alerts, "discord.alerts", alerts.delivered[1].id(), DELIVERED);
  EXPECT_EQ(why(), "discord 503") << "one still waits";
  now.mono += Millis{2000};
  now.wall += Millis{2000};
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[2].id(), NOT_NOW, "discord 502");
  EXPECT_EQ(why(), "discord 502");
  EXPECT_EQ(core->deliveries().health("discord.alerts").trouble_since_ms, since);
  now.mono += Millis{3000};
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[3].id(), DELIVERED);
  EXPECT_EQ(why(), "");
}

TEST_F(CoreDeliveryTest, GivesTheCreditBackForWhatIsLost) {
  auto& alerts = consumer("c", "discord.alerts", 1);
  int reads = 0;
  disk.fail_when([&](test::Call call, const std::string& path) {
    return call == test::Call::kRead && path.starts_with("s/journal/") && ++reads <= 2 ? EBADMSG : 0;
  });
  publish(connect("p"), {signal()});
  turn();
  EXPECT_THAT(dead->letters(), SizeIs(1));
  EXPECT_TRUE(dead->read(dead->letters().begin()->first)->signals.at(0).empty());
  EXPECT_TRUE(core->alarms().stands("dead-letters/discord.alerts"));
  EXPECT_FALSE(core->alarms().stands("journal-read"));
  EXPECT_THAT(alerts.delivered, SizeIs(1)) << "the credit is the next one's: the alarm's";
  EXPECT_TRUE(core->deliveries().credit_is_sound());
}

TEST_F(CoreDeliveryTest, TriesAgainLaterWhatCannotBeReadAndSaysSoWhileItLasts) {
  auto& alerts = consumer("c", "discord.alerts", 10);
  disk.fail_when(reads_fail(EMFILE));
  publish(connect("p"), {signal(), signal(), signal(), signal(), signal()});
  for (int i = 0; i < 50; ++i) {
    turn();
    now.mono += Millis{300};
  }
  EXPECT_THAT(alerts.delivered, SizeIs(0));
  EXPECT_EQ(core->counters().alarms, 1u) << "said once";
  EXPECT_TRUE(core->alarms().stands("journal-read"));
  EXPECT_TRUE(core->deliveries().credit_is_sound());
  disk.heal();
  now.mono += Millis{60'000};
  turn();
  now.mono += Millis{60'000};
  turn();
  ASSERT_THAT(alerts.delivered, SizeIs(7)) << "the alarm, and that it is over, as well";
  for (const auto& delivery : alerts.delivered) EXPECT_EQ(delivery.attempt(), 1u) << "it was never sent before";
  EXPECT_THAT(core->alarms().standing(), IsEmpty());
  EXPECT_THAT(dead->letters(), SizeIs(0));
  EXPECT_EQ(core->counters().redelivered, 0u);
}

TEST_F(CoreDeliveryTest, AFewTextsThatCannotBeReadHoldUpNothingElse) {
  auto& alerts = consumer("c", "discord.alerts", 3);
  publish(connect("p"), {signal(), signal(), signal()});
  turn();
  ASSERT_THAT(alerts.delivered, SizeIs(3));
  for (const auto& delivery : alerts.delivered) settle(alerts, "discord.alerts", delivery.id(), NOT_NOW);
  alerts.delivered.clear();
  now.mono += Millis{60'000};
  int reads = 0;
  disk.fail_when([&](test::Call call, const std::string& path) {
    return call == test::Call::kRead && path.starts_with("s/journal/") && ++reads == 1 ? EIO : 0;
  });
  reader = journal->reader(1);
  credit(alerts, "discord.alerts", 3);
  ASSERT_THAT(alerts.delivered, SizeIs(2));
  now.mono += Millis{1'000};
  credit(alerts, "discord.alerts", 3);
  EXPECT_THAT(alerts.delivered, SizeIs(5)) << "with the alarm's own signal, and that it is over";
}

TEST_F(CoreDeliveryTest, ADeadLetterWithoutItsTextWaitsAndHoldsItsThread) {
  auto& alerts = consumer("c", "discord.alerts", 1);
  Signal first = signal("incident.detected", "first"), second = signal("incident.detected", "second");
  first.set_thread("one");
  second.set_thread("one");
  publish(connect("p"), {first, second});
  turn();
  ASSERT_THAT(alerts.delivered, SizeIs(1));
  disk.fail_when(reads_fail(EIO));
  reader = journal->reader();
  settle(alerts, "discord.alerts", alerts.delivered[0].id(), GIVEN_UP, "no");
  EXPECT_THAT(dead->letters(), SizeIs(0));
  EXPECT_TRUE(core->alarms().stands("journal-read"));
  EXPECT_FALSE(core->alarms().stands("dead-letters/discord.alerts"));
  EXPECT_GE(open("discord.alerts"), 2u);
  disk.heal();
  now.mono += Millis{1'000};
  turn();
  ASSERT_THAT(dead->letters(), SizeIs(1));
  EXPECT_EQ(dead->read(dead->letters().begin()->first)->signals.at(0), first.SerializeAsString());
  EXPECT_FALSE(core->alarms().stands("journal-read"));
  credit(alerts, "discord.alerts", 1);
  ASSERT_THAT(alerts.delivered, SizeIs(2));
  EXPECT_EQ(alerts.delivered[1].signals(0).signal(), second.SerializeAsString());
}

TEST_F(CoreDeliveryTest, ADeliveryWhoseDeadLetterIsKeptIsSettledByTheNextStart) {
  auto& alerts = consumer("c", "discord.alerts", 1);
  publish(connect("p"), {signal()});
  turn();
  Settle settle;
  settle.set_channel("discord.alerts");
  auto* one = settle.add_settled();
  one->set_delivery(alerts.delivered[0].id());
  one->set_outcome(GIVEN_UP);
  alerts.link.send(Frame::kSettle, settle.SerializeAsString());
  exchange();
  const auto work = core->take_work();
  DeadLetters::Written letters;
  ASSERT_TRUE(dead->write(work.new_dead_letters, *reader, letters));
  restart();  // before it was settled
  EXPECT_THAT(dead->letters(), SizeIs(1));
  EXPECT_EQ(open("discord.alerts"), 1u) << "the alarm that there is a dead letter";
  EXPECT_TRUE(core->alarms().stands("dead-letters/discord.alerts"));
}

TEST_F(CoreDeliveryTest, CountsADeathForWhatWasBegunAndNotForWhatWasHeldBesides) {
  options.deliveries.max_losses = 3;
  restart();
  publish(connect("p"), {signal("incident.detected", "innocent"), signal("incident.detected", "poison"), signal()});
  turn();
  for (int i = 0; i < 3; ++i) {
    const std::string peer = "c" + std::to_string(i);
    auto& client = consumer(peer, "discord.alerts");
    ASSERT_THAT(client.delivered, SizeIs(3));
    begin(client, "discord.alerts", client.delivered[1].id());
    core->gone(peer, now);
  }
  turn();
  ASSERT_THAT(dead->letters(), SizeIs(1));
  EXPECT_EQ(payload_title(read_header(dead->read(dead->letters().begin()->first)->signals.at(0)).payload), "poison");
}

TEST_F(CoreDeliveryTest, CountsADeathForTheFirstWhereNothingWasBegun) {
  options.deliveries.max_losses = 3;
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
  EXPECT_EQ(payload_title(read_header(dead->read(dead->letters().begin()->first)->signals.at(0)).payload), "poison");
}

TEST_F(CoreDeliveryTest, PassesOnlyOnWhatWasBegunDurably) {
  // Whoever is told that a part was begun sends without saying so again: a broker that ends before that is durable
  // knows nothing of it, and would let it expire, or have it sent once more.
  auto& first = consumer("first", "discord.system", 1);
  auto& producer = connect("p");
  publish(producer, {signal("cron.output")});
  turn();
  ASSERT_EQ(first.delivered.size(), 1U);
  const uint64_t number = first.delivered[0].id();
  const auto begin_without_sync = [&](Client& client) {
    Begun begun;
    begun.set_channel("discord.system");
    begun.set_delivery(number);
    begun.mutable_part()->set_part(1);
    client.link.send(Frame::kBegun, begun.SerializeAsString());
    exchange();
  };
  begin_without_sync(first);
  auto work = core->take_work();  // and it is being written while the consumer dies
  core->gone("first", now);
  clients.erase("first");
  const auto next = [&](const std::string& peer) -> Client& {
    auto& client =
        clients
            .emplace(peer, Client{Link({peer, Link::Role::Consumer, {"discord.system"}, 5}, 7), {}, {}, {}, {}, {}, 1})
            .first->second;
    client.link.tick(now);
    exchange();
    exchange();
    Credit credit;
    credit.set_channel("discord.system");
    credit.set_count(1);
    credit.set_bytes(1 << 20);
    client.link.send(Frame::kCredit, credit.SerializeAsString());
    exchange();
    exchange();
    return client;
  };
  auto& second = next("second");
  ASSERT_EQ(second.delivered.size(), 1U);
  EXPECT_EQ(second.delivered[0].parts_size(), 0);
  begin_without_sync(second);
  core->gone("second", now);
  clients.erase("second");
  auto& third = next("third");
  ASSERT_EQ(third.delivered.size(), 1U);
  EXPECT_EQ(third.delivered[0].parts_size(), 0) << "nor what the next work holds";

  const auto appended = *journal->append(work.batch);
  core->journalled(static_cast<uint32_t>(appended.segment), appended.base_offset, now);
  begin(third, "discord.system", number);
  ASSERT_EQ(third.durable.size(), 1U);
  core->gone("third", now);
  clients.erase("third");
  auto& fourth = next("fourth");
  ASSERT_EQ(fourth.delivered.size(), 1U);
  EXPECT_EQ(fourth.delivered[0].parts_size(), 1);
}

TEST_F(CoreDeliveryTest, DoesNotTakeAByeForADeath) {
  options.deliveries.max_losses = 3;
  restart();
  publish(connect("p"), {signal(), signal()});
  turn();
  for (int i = 0; i < 5; ++i) {
    auto& client = consumer("c" + std::to_string(i), "discord.alerts");
    ASSERT_THAT(client.delivered, SizeIs(2));
    begin(client, "discord.alerts", client.delivered[0].id());
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
  begun.set_delivery(alerts.delivered[0].id());
  begun.mutable_part()->set_part(1);
  begun.mutable_part()->set_link(std::string(1 << 20, 'l'));
  alerts.link.send(Frame::kBegun, begun.SerializeAsString());
  turn();
  EXPECT_THAT(alerts.refused, HasSubstr("over the limit of 512"));
  EXPECT_THAT(core->deliveries().channels().find("discord.alerts")->second.parts, IsEmpty());
}

TEST_F(CoreDeliveryTest, MasksWhatAConsumerSaysOfItsTroubles) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal(), signal()});
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[0].id(), GIVEN_UP, "the secret is wrong");
  settle(alerts, "discord.alerts", alerts.delivered[1].id(), NOT_NOW, "a secret");
  open_circuit(alerts, "discord.alerts", "no secret");
  EXPECT_EQ(dead->read(dead->letters().begin()->first)->cause, "the ****** is wrong");
  EXPECT_EQ(core->deliveries().health("discord.alerts").trouble, "a ******");
  EXPECT_EQ(core->deliveries().health("discord.alerts").why, "no ******");
}

TEST_F(CoreTest, AConsumerHoldsOnlySoMuchWhateverItsCredit) {
  auto& producer = connect("p");
  for (int i = 0; i < 40; ++i) {
    publish(producer, {signal("incident.detected", "t", std::string(3 << 20, 'x'))});
    turn();
  }
  auto& alerts = connect("c", Link::Role::Consumer, {"discord.alerts"});
  for (int i = 0; i < 100; ++i) credit(alerts, "discord.alerts", 1'000'000);
  turn();
  const size_t held = alerts.delivered.size();
  EXPECT_GE(held, 64u / 3);
  EXPECT_LE(held, 64u / 3 + 1) << "64 MiB, and the one with which it was over";
  settle(alerts, "discord.alerts", alerts.delivered[0].id(), DELIVERED);
  turn();
  EXPECT_EQ(alerts.delivered.size(), held + 1);
}

TEST_F(CoreTest, AnOutcomeThatItDoesNotKnowSettlesNothing) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  settle(alerts, "discord.alerts", alerts.delivered.at(0).id(), static_cast<Outcome>(99));
  EXPECT_EQ(alerts.refused, "Settled has no outcome 99");
  EXPECT_EQ(open("discord.alerts"), 1u);
}

TEST_F(CoreTest, ADrainingBrokerHandsNothingMoreOut) {
  auto& alerts = consumer("c", "discord.alerts", 1);
  publish(connect("p"), {signal(), signal()});
  turn();
  core->drain();
  settle(alerts, "discord.alerts", alerts.delivered.at(0).id(), DELIVERED);
  credit(alerts, "discord.alerts", 10);
  EXPECT_EQ(alerts.delivered.size(), 1u);
  EXPECT_EQ(open("discord.alerts"), 1u);
}

TEST_F(CoreTest, CountsDetentsOwnSignalsAsAdmittedToo) {
  core->alarms().raise("test/own", "cause", "remedy", now);
  turn();
  EXPECT_EQ(core->counters().admitted, 1u);
}

}  // namespace
}  // namespace detent
