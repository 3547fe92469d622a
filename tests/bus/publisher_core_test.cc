#include "bus/publisher_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "proto/frame.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Sent {
  uint64_t first;
  std::vector<std::string> signals;
  bool operator==(const Sent&) const = default;
};

std::vector<Sent> sent(PublisherCore& core, Now now = {}) {
  std::vector<Sent> all;
  while (const auto frame = core.next_frame(now)) {
    Publish publish;
    EXPECT_TRUE(publish.ParseFromString(std::string(frame->head) + std::string(frame->signals)));
    all.push_back({publish.first(), {publish.signals().begin(), publish.signals().end()}});
  }
  return all;
}

std::string upto(uint64_t number) {
  Published p;
  p.set_upto(number);
  return p.SerializeAsString();
}

std::string resume(uint64_t upto, uint64_t at, uint32_t retry_ms, Reason reason) {
  Published p;
  p.set_upto(upto);
  p.set_resume(at);
  p.set_retry_ms(retry_ms);
  p.set_reason(reason);
  p.set_text("disk low");
  return p.SerializeAsString();
}

Now at(int64_t ms) { return {Millis{ms}, Millis{ms}}; }

}  // namespace

TEST(PublisherCore, SendsNothingBeforeASessionIsOpen) {
  PublisherCore core;
  EXPECT_EQ(*core.add("a"), 1u);
  EXPECT_THAT(sent(core), ElementsAre());
  core.opened();
  EXPECT_THAT(sent(core), ElementsAre(Sent{1, {"a"}}));
  EXPECT_THAT(sent(core), ElementsAre());
}

TEST(PublisherCore, PacksWhatQueuedUpWithinCountAndBytes) {
  PublisherCore core({.frame_signals = 3, .frame_bytes = 20, .window = 8, .memory = 1000});
  for (const char* s : {"a", "b", "c", "d", "0123456789", "0123456789", "a signal longer than a whole frame", "e"})
    core.add(s).value();
  core.opened();
  EXPECT_THAT(sent(core), ElementsAre(Sent{1, {"a", "b", "c"}}, Sent{4, {"d", "0123456789"}}, Sent{6, {"0123456789"}},
                                      Sent{7, {"a signal longer than a whole frame"}}, Sent{8, {"e"}}));
}

TEST(PublisherCore, KeepsNoMoreFramesInFlightThanItsWindow) {
  PublisherCore core({.frame_signals = 1, .frame_bytes = 100, .window = 2, .memory = 1000});
  for (const char* s : {"a", "b", "c", "d"}) core.add(s).value();
  core.opened();
  EXPECT_THAT(sent(core), ElementsAre(Sent{1, {"a"}}, Sent{2, {"b"}}));
  EXPECT_EQ(core.published(upto(1), {}).upto, 1u);
  EXPECT_THAT(sent(core), ElementsAre(Sent{3, {"c"}}));
  EXPECT_EQ(core.published(upto(3), {}).upto, 3u);
  EXPECT_THAT(sent(core), ElementsAre(Sent{4, {"d"}}));
  core.published(upto(4), {});
  EXPECT_TRUE(core.idle());
  EXPECT_EQ(core.held_bytes(), 0u);
}

TEST(PublisherCore, PacksLaterSignalsBehindFramesAlreadySent) {
  PublisherCore core;
  core.opened();
  core.add("a").value();
  EXPECT_THAT(sent(core), ElementsAre(Sent{1, {"a"}}));
  core.add("b").value();
  core.add("c").value();
  EXPECT_THAT(sent(core), ElementsAre(Sent{2, {"b", "c"}}));
}

TEST(PublisherCore, SendsAllThatIsUnacknowledgedAgainInOrderInANewSession) {
  PublisherCore core({.frame_signals = 2, .frame_bytes = 100, .window = 8, .memory = 1000});
  for (const char* s : {"a", "b", "c", "d", "e"}) core.add(s).value();
  core.opened();
  sent(core);
  core.published(upto(3), {});
  core.lost();
  EXPECT_THAT(sent(core), ElementsAre());
  core.add("f").value();
  core.opened();
  EXPECT_THAT(sent(core), ElementsAre(Sent{1, {"d"}}, Sent{2, {"e", "f"}}));
  EXPECT_EQ(core.published(upto(3), {}).upto, 6u);
  EXPECT_TRUE(core.idle());
}

TEST(PublisherCore, IgnoresAnAnswerOfASessionThatIsOver) {
  PublisherCore core;
  core.add("a").value();
  core.opened();
  sent(core);
  core.lost();
  EXPECT_EQ(core.published(upto(1), {}).upto, 0u);
  EXPECT_FALSE(core.idle());
}

TEST(PublisherCore, TellsWhichSignalsWereRefusedForGood) {
  PublisherCore core;
  for (const char* s : {"a", "b", "c"}) core.add(s).value();
  core.opened();
  sent(core);
  Published p;
  p.set_upto(3);
  auto* refusal = p.add_refusals();
  refusal->set_number(2);
  refusal->set_reason(ID_REUSED);
  refusal->set_text("the id was used for other content");
  const auto progress = core.published(p.SerializeAsString(), {});
  EXPECT_EQ(progress.upto, 3u);
  ASSERT_EQ(progress.refusals.size(), 1u);
  EXPECT_EQ(progress.refusals[0].ticket, 2u);
  EXPECT_EQ(progress.refusals[0].reason, ID_REUSED);
  EXPECT_TRUE(core.idle());
}

TEST(PublisherCore, ResumesWhereTheBrokerSaysAfterTheTimeItSays) {
  PublisherCore core({.frame_signals = 2, .frame_bytes = 100, .window = 8, .memory = 1000});
  for (const char* s : {"a", "b", "c", "d"}) core.add(s).value();
  core.opened();
  EXPECT_EQ(sent(core, at(0)).size(), 2u);
  EXPECT_EQ(core.published(resume(1, 2, 500, DISK_LOW), at(10)).upto, 1u);
  EXPECT_EQ(core.paused_why(), "disk low");
  EXPECT_EQ(core.retry_at(), Millis{510});
  EXPECT_THAT(sent(core, at(509)), ElementsAre());
  EXPECT_THAT(sent(core, at(510)), ElementsAre(Sent{2, {"b"}}, Sent{3, {"c", "d"}}));
  // The frame behind the refused one was out of order; its answer must not start everything over once more.
  core.published(resume(1, 2, 500, OUT_OF_ORDER), at(511));
  EXPECT_THAT(sent(core, at(5000)), ElementsAre());
  EXPECT_EQ(core.published(upto(4), at(5001)).upto, 4u);
  EXPECT_EQ(core.paused_why(), "");
}

TEST(PublisherCore, RetriesAsOftenAsItIsRefused) {
  PublisherCore core;
  core.add("a").value();
  core.opened();
  for (int round = 0; round < 5; ++round) {
    EXPECT_THAT(sent(core, at(round * 100)), ElementsAre(Sent{1, {"a"}}));
    core.published(resume(0, 1, 100, BUSY), at(round * 100));
  }
}

TEST(PublisherCore, SaysThatItIsFullAndTakesAgainWhenThereIsRoom) {
  PublisherCore core({.frame_signals = 10, .frame_bytes = 1000, .window = 2, .memory = 100});
  core.opened();
  const std::string signal(40, 'x');
  core.add(signal).value();
  core.add(signal).value();
  const auto full = core.add(signal);
  ASSERT_FALSE(full.has_value());
  EXPECT_THAT(full.error().what, HasSubstr("wait for the broker's acknowledgement"));
  sent(core);
  core.published(upto(2), {});
  EXPECT_EQ(*core.add(signal), 3u);
}

TEST(PublisherCore, RefusesASignalThatNoBrokerTakes) {
  PublisherCore core;
  EXPECT_FALSE(core.add(std::string(kMaxSignal + 1, 'x')).has_value());
  EXPECT_TRUE(core.add(std::string(kMaxSignal, 'x')).has_value());
}

/// A broker as the protocol describes it, which forgets sessions, refuses at times, and must in the end hold every
/// signal once and in order of its last taking-in.
TEST(PublisherCore, EverySignalArrivesInOrderWhateverTheBrokerDoes) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    PublisherCore core(
        {.frame_signals = 1 + random() % 5, .frame_bytes = 60, .window = 1 + random() % 4, .memory = 4000});
    std::vector<std::string> taken;  // each new one in order
    std::set<std::string> known;
    uint64_t expected = 0, made = 0;
    bool open = false, refusing = false;
    std::vector<std::string> wire;  // frames in flight to the broker, and the answers back
    std::vector<std::string> back;
    int64_t now = 0;
    const uint64_t total = 60;
    for (int step = 0; step < 20'000 && !(made == total && core.idle()); ++step) {
      now += 1 + random() % 20;
      switch (random() % 8) {
        case 0:
        case 1:
          if (made < total && core.add("signal " + std::to_string(made))) ++made;
          break;
        case 2:
          if (!open) {
            open = true;
            expected = 1;
            core.opened();
          } else if (random() % 6 == 0) {
            open = false;
            wire.clear();
            back.clear();
            core.lost();
          }
          break;
        case 3:
        case 4:
          if (const auto frame = core.next_frame(at(now)))
            wire.push_back(std::string(frame->head) + std::string(frame->signals));
          break;
        case 5:
          if (!wire.empty()) {
            Publish publish;
            ASSERT_TRUE(publish.ParseFromString(wire.front()));
            wire.erase(wire.begin());
            if (publish.first() > expected) {
              back.push_back(resume(expected - 1, expected, 30, OUT_OF_ORDER));
              break;
            }
            for (int i = 0; i < publish.signals_size(); ++i) {
              if (publish.first() + i < expected) continue;
              if (refusing) break;
              if (known.insert(publish.signals(i)).second) taken.push_back(publish.signals(i));
              ++expected;
            }
            back.push_back(refusing ? resume(expected - 1, expected, 50, DISK_LOW) : upto(expected - 1));
          }
          break;
        case 6:
          if (!back.empty()) {
            core.published(back.front(), at(now));
            back.erase(back.begin());
          }
          break;
        case 7:
          refusing = random() % 4 == 0;
          break;
      }
    }
    ASSERT_EQ(made, total) << "seed " << seed;
    ASSERT_TRUE(core.idle()) << "seed " << seed;
    ASSERT_EQ(taken.size(), total) << "seed " << seed;
    for (uint64_t i = 0; i < total; ++i) ASSERT_EQ(taken[i], "signal " + std::to_string(i)) << "seed " << seed;
  }
}

}  // namespace detent
