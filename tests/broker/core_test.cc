#include "broker/core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/journal.pb.h"
#include "tests/broker/core_fixture.h"

namespace detent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(CoreTest, AcknowledgesAndDeliversOnlyWhatIsDurable) {
  auto& producer = connect("p");
  auto& alerts = consumer("c", "discord.alerts");
  publish(producer, {signal()});
  exchange();
  exchange();
  EXPECT_THAT(producer.published, IsEmpty());
  EXPECT_THAT(alerts.delivered, IsEmpty());
  turn();
  ASSERT_THAT(producer.published, SizeIs(1));
  EXPECT_EQ(producer.published[0].upto(), 1u);
  EXPECT_EQ(producer.published[0].durability(), JOURNALED);
  EXPECT_THAT(alerts.delivered, SizeIs(1));
}

TEST_F(CoreTest, AcknowledgesARepeatWithoutDeliveringItAgain) {
  auto& producer = connect("p");
  const auto one = signal();
  publish(producer, {one});
  turn();
  publish(producer, {one});
  turn();
  EXPECT_EQ(producer.published.back().upto(), 2u);
  EXPECT_THAT(producer.published.back().refusals(), IsEmpty());
  EXPECT_EQ(open("discord.alerts"), 1u);
}

TEST_F(CoreTest, KnowsARepeatAlsoAfterARestart) {
  const auto one = signal();
  publish(connect("p"), {one});
  turn();
  restart();
  publish(connect("p"), {one});
  turn();
  EXPECT_EQ(open("discord.alerts"), 1u);
  EXPECT_EQ(core->counters().repeats, 1u);
}

TEST_F(CoreTest, RefusesAnIdUsedAgainForOtherContent) {
  auto& producer = connect("p");
  auto one = signal();
  publish(producer, {one});
  turn();
  one.set_source("other");
  publish(producer, {one});
  turn();
  ASSERT_THAT(producer.published.back().refusals(), SizeIs(1));
  EXPECT_EQ(producer.published.back().refusals(0).reason(), ID_REUSED);
}

TEST_F(CoreTest, RefusesABadSignalAndTakesThoseAroundIt) {
  auto& producer = connect("p");
  auto bad = signal();
  bad.set_type("NOT A TYPE");
  publish(producer, {signal(), bad, signal()});
  turn();
  ASSERT_THAT(producer.published, SizeIs(1));
  EXPECT_EQ(producer.published[0].upto(), 3u);
  ASSERT_THAT(producer.published[0].refusals(), SizeIs(1));
  EXPECT_EQ(producer.published[0].refusals(0).number(), 2u);
  EXPECT_EQ(open("discord.alerts"), 2u);
}

TEST_F(CoreTest, AfterALowDiskTakesUpExactlyWhereTheProducerResumes) {
  auto& producer = connect("p");
  core->admission().pause_publishers(DISK_LOW, "the disk is low");
  const auto first = signal(), second = signal();
  publish(producer, {first});
  publish(producer, {second});
  turn();
  EXPECT_EQ(producer.published.back().resume(), 1u);
  EXPECT_EQ(producer.published.back().upto(), 0u);
  core->admission().pause_publishers(0, {});
  publish(producer, {second}, 2);  // not where it was told to
  turn();
  EXPECT_EQ(open("discord.alerts"), 0u);
  EXPECT_EQ(producer.published.back().resume(), 1u);
  publish(producer, {first, second}, 1);
  turn();
  EXPECT_EQ(producer.published.back().upto(), 2u);
  EXPECT_EQ(producer.published.back().resume(), 0u);
  EXPECT_EQ(open("discord.alerts"), 2u);
}

TEST_F(CoreTest, RefusesWhatTheRoleMayNotSendAndSaysWhy) {
  const std::map<Link::Role, std::set<uint32_t>> may{
      {Link::Role::Producer, {Frame::kPublish}},
      {Link::Role::Consumer, {Frame::kCredit, Frame::kBegun, Frame::kSettle}},
      {Link::Role::Admin, {Frame::kPublish, Frame::kAdminRequest, Frame::kTail}}};
  for (const auto& [role, fields] : may) {
    for (const uint32_t field : {Frame::kPublish, Frame::kCredit, Frame::kBegun, Frame::kSettle, Frame::kAdminRequest,
                                 Frame::kTail, Frame::kPing, Frame::kPong}) {
      auto& client = connect("x", role);
      ASSERT_TRUE(client.link.is_open());
      client.link.send(field, {});
      turn();
      const bool is_allowed = fields.contains(field) || field == Frame::kPing || field == Frame::kPong;
      EXPECT_EQ(client.refused.find("may not send") == std::string::npos, is_allowed)
          << static_cast<int>(role) << " sent " << field << ": " << client.refused;
      core->gone("x", now);
      clients.clear();
    }
  }
  EXPECT_GE(core->counters().not_allowed, 11u);
}

TEST_F(CoreTest, RefusesCreditForAChannelThatIsNotTheSessions) {
  auto& client = connect("c", Link::Role::Consumer, {"discord.alerts"});
  publish(connect("p"), {signal("cron.output")});
  credit(client, "discord.system", 1);
  EXPECT_EQ(client.refused, "\"discord.system\" is not a channel of this session");
  EXPECT_EQ(core->counters().not_allowed, 1u);
  EXPECT_THAT(client.delivered, IsEmpty());
}

TEST_F(CoreTest, LosesNothingOfASessionThatDidWhatItMayNot) {
  auto& alerts = consumer("c", "discord.alerts");
  auto& producer = connect("p");
  publish(producer, {signal()});
  turn();
  ASSERT_THAT(alerts.delivered, SizeIs(1));
  publish(alerts, {signal()});
  publish(producer, {signal()});
  settle(producer, "discord.alerts", alerts.delivered[0].id(), DELIVERED);
  EXPECT_EQ(core->counters().not_allowed, 2u);
  EXPECT_EQ(open("discord.alerts"), 2u);
  EXPECT_THAT(consumer("d", "discord.alerts").delivered, SizeIs(2));
}

TEST_F(CoreTest, GivesEachSignalToOneOfTheConsumersThatCompete) {
  auto& a = consumer("a", "discord.alerts", 3);
  auto& b = consumer("b", "discord.alerts", 3);
  auto& producer = connect("p");
  publish(producer, {signal(), signal(), signal(), signal(), signal(), signal(), signal()});
  turn();
  EXPECT_THAT(a.delivered, SizeIs(3));
  EXPECT_THAT(b.delivered, SizeIs(3));
  EXPECT_EQ(open("discord.alerts"), 7u);
}

TEST_F(CoreTest, HandsOnWhatADeadConsumerHadBegunWithAllThatIsKnown) {
  auto& first = consumer("a", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  Begun begun;
  begun.set_channel("discord.alerts");
  begun.set_delivery(first.delivered[0].id());
  begun.mutable_part()->set_part(1);
  first.link.send(Frame::kBegun, begun.SerializeAsString());
  exchange();
  EXPECT_THAT(first.durable, IsEmpty());
  turn();
  EXPECT_THAT(first.durable, SizeIs(1));
  core->gone("a", now);
  auto& second = consumer("b", "discord.alerts");
  ASSERT_THAT(second.delivered, SizeIs(1));
  EXPECT_EQ(second.delivered[0].attempt(), 2u);
  ASSERT_THAT(second.delivered[0].parts(), SizeIs(1));
  EXPECT_FALSE(second.delivered[0].parts(0).done());
}

TEST_F(CoreTest, TellsTheNextConsumerWhatWasBegunAlsoAfterARestart) {
  for (const bool with_snapshot : {false, true}) {
    auto& first = consumer("a", "discord.alerts");
    publish(connect("p"), {signal()});
    turn();
    Begun begun;
    begun.set_channel("discord.alerts");
    begun.set_delivery(first.delivered.back().id());
    begun.mutable_part()->set_part(1);
    first.link.send(Frame::kBegun, begun.SerializeAsString());
    turn();
    if (with_snapshot) {
      snapshot = true;
      publish(connect("q"), {signal("cron.output")});
      turn();
    }
    restart();
    auto& second = consumer("b", "discord.alerts");
    ASSERT_THAT(second.delivered, SizeIs(1)) << with_snapshot;
    ASSERT_THAT(second.delivered[0].parts(), SizeIs(1)) << with_snapshot;
    settle(second, "discord.alerts", second.delivered[0].id(), DELIVERED);
    EXPECT_EQ(open("discord.alerts"), 0u);
    restart();
    EXPECT_EQ(open("discord.alerts"), 0u);
  }
}

TEST_F(CoreTest, GoesOnCountingAttemptsAfterASnapshotAndARestart) {
  auto& first = consumer("a", "discord.system");
  publish(connect("p"), {signal("cron.output")});
  turn();
  settle(first, "discord.system", first.delivered[0].id(), NOT_NOW);
  now.mono += Millis{2000};
  turn();
  ASSERT_EQ(first.delivered.back().attempt(), 2u);
  snapshot = true;
  publish(clients.at("p"), {signal()});
  turn();
  restart();
  auto& second = consumer("b", "discord.system");
  ASSERT_THAT(second.delivered, SizeIs(1));
  EXPECT_EQ(second.delivered[0].attempt(), 3u);
  EXPECT_THAT(second.delivered[0].parts(), IsEmpty());
}

TEST_F(CoreTest, AnswersAsStaleWhatIsSaidOfADeliveryOfAnotherSession) {
  auto& first = consumer("a", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  auto& second = consumer("b", "discord.alerts");
  settle(second, "discord.alerts", first.delivered[0].id(), DELIVERED);
  ASSERT_THAT(second.stale, SizeIs(1));
  EXPECT_EQ(open("discord.alerts"), 1u);
}

TEST_F(CoreTest, TriesAgainAfterTheDelayAndNotBefore) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  Settle settle;
  settle.set_channel("discord.alerts");
  auto* one = settle.add_settled();
  one->set_delivery(alerts.delivered[0].id());
  one->set_outcome(NOT_NOW);
  one->set_delay_ms(5000);
  alerts.link.send(Frame::kSettle, settle.SerializeAsString());
  turn();
  EXPECT_THAT(alerts.delivered, SizeIs(1));
  now.mono += Millis{4999};
  turn();
  EXPECT_THAT(alerts.delivered, SizeIs(1));
  now.mono += Millis{1};
  turn();
  EXPECT_THAT(alerts.delivered, SizeIs(2));
}

TEST_F(CoreTest, SettlesAnOldHeartbeatAsExpiredInsteadOfDeliveringIt) {
  options.admission.expires = [](std::string_view type) {
    return type == "heartbeat.ok" ? Millis{600'000} : Millis{0};
  };
  restart();
  publish(connect("p"), {signal("heartbeat.ok"), signal("cron.output")});
  turn();
  now.wall += Millis{601'000};
  now.mono += Millis{601'000};
  core->tick(now);
  turn();
  EXPECT_EQ(core->counters().expired, 1u);
  clients.clear();
  auto& system = consumer("c", "discord.system");
  ASSERT_THAT(system.delivered, SizeIs(1));
  EXPECT_EQ(read_header(system.delivered[0].signals(0).signal()).type, "cron.output");
}

TEST_F(CoreTest, AsksAnewWhenSignalsExpireAfterAReload) {
  Millis after{0};
  options.admission.expires = [&after](std::string_view) { return after; };
  restart();
  publish(connect("p"), {signal("heartbeat.ok")});
  turn();
  after = Millis{600'000};
  core->reroute(*Router::compile(config), config.channels());
  publish(clients.at("p"), {signal("heartbeat.ok")});
  turn();
  now.wall += Millis{601'000};
  now.mono += Millis{601'000};
  core->tick(now);
  turn();
  EXPECT_EQ(core->counters().expired, 1u);
}

TEST_F(CoreTest, TakesTheLastOfAllTimesForNever) {
  options.admission.expires = [](std::string_view) { return Millis{600'000}; };
  restart();
  auto expires = signal("cron.output"), created = signal("cron.output");
  expires.set_expires_ms(INT64_MAX);
  created.set_created_ms(INT64_MAX);
  publish(connect("p"), {expires, created});
  turn();
  EXPECT_THAT(consumer("c", "discord.system").delivered, SizeIs(2));
  EXPECT_EQ(core->counters().expired, 0u);
}

TEST_F(CoreTest, SendsWhatNeedsAResponseToTelegramAndACopyBesides) {
  auto& telegram = consumer("t", "telegram");
  auto& alerts = consumer("c", "discord.alerts");
  auto asks = signal();
  asks.set_needs_response(true);
  publish(connect("p"), {asks, signal()});
  turn();
  ASSERT_THAT(telegram.delivered, SizeIs(1));
  EXPECT_FALSE(telegram.delivered[0].signals(0).copy());
  ASSERT_THAT(alerts.delivered, SizeIs(2));
  EXPECT_TRUE(alerts.delivered[0].signals(0).copy());
  EXPECT_FALSE(alerts.delivered[1].signals(0).copy());
}

TEST_F(CoreTest, KeepsWhatWasGivenUpAsADeadLetterAndSaysSoOnce) {
  auto& alerts = consumer("c", "discord.alerts");
  auto& telegram = consumer("t", "telegram");
  publish(connect("p"), {signal("incident.detected", "first"), signal("incident.detected", "second")});
  turn();
  settle(alerts, "discord.alerts", alerts.delivered[0].id(), GIVEN_UP, "discord 50013: Missing Permissions");
  settle(alerts, "discord.alerts", alerts.delivered[1].id(), GIVEN_UP, "discord 50013: Missing Permissions");
  ASSERT_THAT(dead->letters(), SizeIs(2));
  const auto letter = dead->read(dead->letters().begin()->first);
  ASSERT_TRUE(letter);
  EXPECT_EQ(payload_title(read_header(letter->signals.at(0)).payload), "first");
  EXPECT_EQ(letter->cause, "discord 50013: Missing Permissions");
  EXPECT_THAT(telegram.delivered, SizeIs(1)) << "one alarm for both";
  EXPECT_TRUE(core->alarms().stands("dead-letters/discord.alerts"));

  core->admission().revive("discord.alerts", letter->signals.at(0), now);
  turn();
  EXPECT_EQ(alerts.delivered.back().signals(0).signal(), letter->signals.at(0));
}

TEST_F(CoreTest, MakesTheOldestADeadLetterWhenABacklogIsOverItsLimit) {
  options.deliveries.backlog_bytes = 1000;
  restart();
  auto& producer = connect("p");
  for (int i = 0; i < 5; ++i) publish(producer, {signal("cron.output", std::string(300, 'a'))});
  turn();
  now.mono += Millis{1000};
  core->tick(now);
  turn();
  EXPECT_LE(core->deliveries().channels().find("discord.system")->second.bytes(), 1000u);
  ASSERT_FALSE(dead->letters().empty());
  EXPECT_EQ(dead->read(dead->letters().begin()->first)->cause, "backlog");
  EXPECT_EQ(dead->read(dead->letters().begin()->first)->seqs, std::vector<uint64_t>{1});
}

TEST_F(CoreTest, HoldsBackFromAnOpenCircuitAndSaysSoWhereItIsSeen) {
  auto& alerts = consumer("c", "discord.alerts");
  auto& telegram = consumer("t", "telegram");
  Settle settle;
  settle.set_channel("discord.alerts");
  settle.mutable_circuit()->set_open(true);
  settle.mutable_circuit()->set_why("401: the token is wrong");
  alerts.link.send(Frame::kSettle, settle.SerializeAsString());
  turn();
  ASSERT_THAT(telegram.delivered, SizeIs(1));
  publish(connect("p"), {signal()});
  turn();
  EXPECT_THAT(alerts.delivered, IsEmpty());
  settle.mutable_circuit()->set_open(false);
  alerts.link.send(Frame::kSettle, settle.SerializeAsString());
  turn();
  EXPECT_FALSE(alerts.delivered.empty());
  EXPECT_THAT(telegram.delivered, SizeIs(2)) << "it is over, said once";
}

TEST_F(CoreTest, SaysWhatIsWrongWithTelegramInDiscord) {
  auto& alerts = consumer("c", "discord.alerts");
  auto& telegram = consumer("t", "telegram");
  Settle settle;
  settle.set_channel("telegram");
  settle.mutable_circuit()->set_open(true);
  telegram.link.send(Frame::kSettle, settle.SerializeAsString());
  turn();
  EXPECT_THAT(alerts.delivered, SizeIs(1));
  EXPECT_THAT(telegram.delivered, IsEmpty());
}

TEST_F(CoreTest, RefusesAConsumerOfAChannelThatIsNotConfigured) {
  auto& client = connect("c", Link::Role::Consumer, {"discord.nowhere"});
  EXPECT_FALSE(client.link.is_open());
  EXPECT_NE(client.refused.find("discord.nowhere"), std::string::npos);
}

TEST_F(CoreTest, MarksAnIdOlderThanItsMemoryAsAnUnprovenRepeat) {
  auto& system = consumer("c", "discord.system");
  auto old = signal("cron.output");
  old.set_id(std::string(ulids.next(now.wall - std::chrono::hours{24 * 91}).view()));
  UlidSource ancient(5);
  old.set_id(std::string(ancient.next(now.wall - std::chrono::hours{24 * 91}).view()));
  publish(connect("p"), {old});
  turn();
  ASSERT_THAT(system.delivered, SizeIs(1));
  EXPECT_TRUE(system.delivered[0].signals(0).repeat_unproven());
}

TEST_F(CoreTest, GivesUpWhatKillsItsConsumersAgainAndAgain) {
  options.deliveries.max_losses = 3;
  restart();
  publish(connect("p"), {signal()});
  turn();
  for (int i = 0; i < 3; ++i) {
    const std::string peer = "c" + std::to_string(i);
    ASSERT_THAT(consumer(peer, "discord.alerts").delivered, SizeIs(1));
    core->gone(peer, now);
  }
  turn();
  EXPECT_THAT(dead->letters(), SizeIs(1));
}

TEST_F(CoreTest, DropsAllOfAChannelWhenTheOperatorSaysSo) {
  publish(connect("p"), {signal("cron.output"), signal("cron.output"), signal()});
  turn();
  EXPECT_EQ(core->deliveries().drop("discord.system", 1, 10, now), 1u) << "no later ones";
  EXPECT_EQ(core->deliveries().drop("discord.system", 2, 10, now), 1u);
  EXPECT_EQ(core->deliveries().drop("discord.nothing", 2, 10, now), 0u);
  turn();
  EXPECT_EQ(open("discord.system"), 0u);
  EXPECT_EQ(open("discord.alerts"), 1u);
  restart();
  EXPECT_EQ(open("discord.system"), 0u);
}

TEST_F(CoreTest, SettlesWhatHasADeadLetterWhereTheRecordOfItsSignalIsDamagedSince) {
  Core recovering(options, *Router::compile(config), validator, *ids, 1);
  Snapshot snapshot;
  snapshot.set_next_seq(5);
  auto* channel = snapshot.add_channels();
  channel->set_name("discord.alerts");
  channel->set_floor(2);  // 2, 3 and 4 are open
  recovering.restore(snapshot.SerializeAsString());
  Record settled;
  settled.mutable_settled()->add_seqs(4);
  settled.mutable_settled()->set_channel("discord.alerts");
  settled.mutable_settled()->set_state(SettledRecord::DEAD);
  recovering.replay(settled.SerializeAsString(), {}, true);
  for (const uint64_t seq : {3, 4}) {
    DeadRecord letter;
    letter.mutable_letter()->add_seqs(seq);
    letter.mutable_letter()->set_channel("discord.alerts");
    letter.mutable_letter()->set_delivery(10 + seq);
    recovering.replay_dead(letter.SerializeAsString());
  }
  const MissingSignals missing = recovering.recovered(now);
  EXPECT_THAT(missing.first, ElementsAre(2)) << "of the others the letters have the texts";
  EXPECT_EQ(recovering.counters().dead, 1u);
}

}  // namespace
}  // namespace detent
