// What is known of a delivery's parts, whether the platform has them, over restarts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "proto/journal.pb.h"
#include "tests/broker/core_fixture.h"

namespace detent {
namespace {

using testing::IsEmpty;
using testing::Not;

struct PartsTest : CoreTest {
  /// Part 1, which the platform has.
  static Part sent(const std::string& message_id) {
    Part part = unsent();
    part.set_done(true);
    part.set_message_id(message_id);
    return part;
  }
  /// A consumer has begun it, and gives it up with this to say of its parts; the letter cannot be written, since the
  /// journal is not read at the moment.
  uint64_t give_up_without_a_letter(const Part& part) {
    auto& alerts = consumer("c", "discord.alerts");
    publish(connect("p"), {signal()});
    turn();
    const uint64_t id = alerts.delivered.at(0).id();
    begin(alerts, "discord.alerts", id);
    disk.fail_when(reads_fail(ENOMEM));
    reader = journal->reader();
    settle(alerts, "discord.alerts", id, GIVEN_UP, "discord 400", {part});
    EXPECT_THAT(dead->letters(), IsEmpty());
    EXPECT_TRUE(core->alarms().stands("journal-read"));
    disk.heal();
    return id;
  }
  /// By the journal, the last that was settled as dead.
  SettledRecord last_dead() {
    SettledRecord last;
    const auto tail = journal->tail({});
    for (auto next = tail->next(journal->end()); next && *next; next = tail->next(journal->end())) {
      Record record;
      if (record.ParseFromArray((*next)->bytes.data(), static_cast<int>((*next)->bytes.size())) &&
          record.settled().state() == SettledRecord::DEAD)
        last = record.settled();
    }
    return last;
  }
};

TEST_F(PartsTest, WhatWasSurelyNotTakenIsNotPerhapsDeliveredAfterARestart) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  const uint64_t id = alerts.delivered.at(0).id();
  begin(alerts, "discord.alerts", id);
  settle(alerts, "discord.alerts", id, NOT_NOW, "discord 503", {unsent()});
  restart();
  auto& next = consumer("c", "discord.alerts");
  ASSERT_EQ(next.delivered.size(), 1u);
  EXPECT_EQ(next.delivered[0].id(), id);
  EXPECT_EQ(next.delivered[0].parts_size(), 0);
}

TEST_F(PartsTest, WhatAConsumerTellsOfItsPartsWhenItGivesADeliveryBackOutlastsARestart) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  Part part = unsent();
  part.set_done(true);
  part.set_message_id("77");
  settle(alerts, "discord.alerts", alerts.delivered.at(0).id(), NOT_NOW, "", {part});
  restart();
  auto& next = consumer("c", "discord.alerts");
  ASSERT_EQ(next.delivered.size(), 1u);
  ASSERT_EQ(next.delivered[0].parts_size(), 1);
  EXPECT_EQ(next.delivered[0].parts(0).message_id(), "77");
}

// Two consumers may each have sent it, one of them after it was taken for lost; what is told last counts.
TEST_F(PartsTest, ADeliveryGivenBackWithAnotherMessageThanWasKnownKeepsThatOverARestart) {
  auto& alerts = consumer("c", "discord.alerts");
  publish(connect("p"), {signal()});
  turn();
  const uint64_t id = alerts.delivered.at(0).id();
  settle(alerts, "discord.alerts", id, NOT_NOW, "", {sent("77")});
  now.mono += Millis{60'000};
  credit(alerts, "discord.alerts", 1);
  ASSERT_EQ(alerts.delivered.size(), 2u);
  settle(alerts, "discord.alerts", id, NOT_NOW, "", {sent("76")});
  restart();
  auto& next = consumer("c", "discord.alerts");
  ASSERT_EQ(next.delivered.size(), 1u);
  ASSERT_EQ(next.delivered[0].parts_size(), 1);
  EXPECT_EQ(next.delivered[0].parts(0).message_id(), "76");
}

TEST_F(PartsTest, WhatWasTriedAndNotTakenExpiresByItsType) {
  options.admission.expires = [](std::string_view) { return Millis{60'000}; };
  restart();
  auto& system = consumer("c", "discord.system");
  publish(connect("p"), {signal("heartbeat.ok")});
  turn();
  const uint64_t id = system.delivered.at(0).id();
  begin(system, "discord.system", id);
  settle(system, "discord.system", id, NOT_NOW, "", {unsent()});
  now.mono += Millis{3'600'000};
  now.wall += Millis{3'600'000};
  core->tick(now);
  turn();
  EXPECT_EQ(open("discord.system"), 0u);
  EXPECT_EQ(core->counters().expired, 1u);
}

// Its giving up is not durable without the letter, and so the next consumer is asked anew.
TEST_F(PartsTest, WhatWasRefusedAndGivenUpIsNotPerhapsDeliveredWhereARestartComesBeforeItsLetter) {
  const uint64_t given_up = give_up_without_a_letter(unsent());
  restart();
  auto& next = consumer("c", "discord.alerts");
  ASSERT_THAT(next.delivered, Not(IsEmpty()));
  ASSERT_EQ(next.delivered[0].id(), given_up);
  EXPECT_EQ(next.delivered[0].parts_size(), 0);
}

TEST_F(PartsTest, WhatArrivedOfOneGivenUpIsKnownWhereARestartComesBeforeItsLetter) {
  const uint64_t given_up = give_up_without_a_letter(sent("77"));
  restart();
  auto& next = consumer("c", "discord.alerts");
  ASSERT_THAT(next.delivered, Not(IsEmpty()));
  ASSERT_EQ(next.delivered[0].id(), given_up);
  ASSERT_EQ(next.delivered[0].parts_size(), 1);
  EXPECT_EQ(next.delivered[0].parts(0).message_id(), "77");
}

TEST_F(PartsTest, AStartThatSettlesByALetterAloneTellsOfThePartsWhatTheLetterTells) {
  for (const bool arrived : {false, true}) {
    auto& alerts = consumer("c", "discord.alerts");
    publish(connect("p"), {signal()});
    turn();
    const uint64_t id = alerts.delivered.at(0).id();
    begin(alerts, "discord.alerts", id);
    Settle settle;
    settle.set_channel("discord.alerts");
    auto* one = settle.add_settled();
    one->set_delivery(id);
    one->set_outcome(GIVEN_UP);
    *one->add_parts() = arrived ? sent("77") : unsent();
    alerts.link.send(Frame::kSettle, settle.SerializeAsString());
    exchange();
    const auto work = core->take_work();
    DeadLetters::Written letters;
    ASSERT_TRUE(dead->write(work.new_dead_letters, *reader, letters));
    restart();  // before the journal was written
    sync();
    const SettledRecord settled = last_dead();
    EXPECT_EQ(settled.delivery(), id);
    ASSERT_EQ(settled.parts_size(), arrived);
    EXPECT_EQ(arrived ? settled.parts(0).message_id() : "", arrived ? "77" : "");
    EXPECT_EQ(dead->read({"discord.alerts", id})->parts.size(), size_t{arrived});
  }
}

}  // namespace
}  // namespace detent
