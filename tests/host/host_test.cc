#include "host/host.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "host/thread_executor.h"
#include "tests/host/tally.h"

namespace detent::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Host, AnswersOnlyWhatIsDurable) {
  MemoryDisk disk;
  Life life(disk);
  life.says("2");
  life.turn();
  EXPECT_THAT(life.socket.sent, IsEmpty());
  life.executor.step_journal();  // durable, but the loop does not know it yet
  EXPECT_THAT(life.socket.sent, IsEmpty());
  life.turn();
  EXPECT_THAT(life.socket.sent, ElementsAre("2"));
}

TEST(Host, MakesOneSyncOfAllThatCameBehindTheOneUnderWay) {
  MemoryDisk disk;
  Life life(disk);
  life.says("1");
  life.turn();
  for (int i = 0; i < 5; ++i) {
    life.says("10");
    life.turn();
  }
  EXPECT_EQ(life.executor.journal_jobs(), 1u) << "one write and sync at a time";
  life.settle();
  EXPECT_THAT(life.socket.sent, ElementsAre("1", "11", "21", "31", "41", "51"));
  EXPECT_EQ(life.tally.works.size(), 2u);
  EXPECT_EQ(life.host.counters().syncs, 2u);
}

TEST(Host, AnswersWithoutASyncWhereNothingIsToBeWritten) {
  MemoryDisk disk;
  Life life(disk);
  life.says("where?");
  life.turn();
  EXPECT_THAT(life.socket.sent, ElementsAre("here"));
  EXPECT_EQ(life.executor.journal_jobs(), 0u);
  EXPECT_EQ(life.host.counters().syncs, 0u);
}

TEST(Host, AnswersWithoutASyncOnlyBehindTheWorkUnderWay) {
  MemoryDisk disk;
  Life life(disk);
  life.says("1");
  life.turn();
  life.says("where?");
  life.turn();
  EXPECT_THAT(life.socket.sent, IsEmpty());
  life.settle();
  EXPECT_THAT(life.socket.sent, ElementsAre("1", "here"));
}

TEST(Host, ReadsInBitesAndNothingWhileEnoughWaitsBehindASync) {
  MemoryDisk disk;
  auto options = Life::small();
  options.bite_messages = 3;
  options.fill_while_syncing = 90;
  Life life(disk, options);
  for (int i = 0; i < 10; ++i) life.says("1");
  life.turn();
  EXPECT_EQ(life.tally.received.size(), 3u);
  life.turn();
  EXPECT_EQ(life.tally.received.size(), 6u);
  EXPECT_FALSE(life.host.reads());
  life.turn();
  EXPECT_EQ(life.tally.received.size(), 6u) << "what waits behind the sync is enough";
  life.executor.step_journal();
  life.turn();
  EXPECT_TRUE(life.host.reads());
  life.settle();
  EXPECT_EQ(life.tally.received.size(), 10u);
  EXPECT_EQ(life.socket.sent.back(), "10");
}

TEST(Host, DoesTheMachinesOwnWorkAroundTheBatch) {
  MemoryDisk disk;
  Life life(disk);
  const auto start = life.host.journal().end().offset;
  std::vector<std::string> order;
  life.tally.before = [&]() -> Result<void> {
    order.push_back(life.host.journal().end().offset == start ? "before" : "too late");
    return {};
  };
  life.tally.after = [&]() -> Result<void> {
    order.push_back(life.host.journal().end().offset > start && life.tally.works.empty() ? "after" : "wrong");
    return {};
  };
  life.says("1");
  life.turn();
  life.settle();
  EXPECT_THAT(order, ElementsAre("before", "after"));
  EXPECT_THAT(life.socket.sent, ElementsAre("1"));
}

TEST(Host, AcknowledgesNothingAndStopsWhereTheMachinesOwnWorkFails) {
  MemoryDisk disk;
  Life life(disk);
  life.tally.before = []() -> Result<void> { return Error{"a bad disk", EIO}; };
  life.says("1");
  life.turn();
  life.settle();
  ASSERT_TRUE(life.executor.failure());
  EXPECT_EQ(life.executor.failure()->what, "a bad disk");
  EXPECT_THAT(life.socket.sent, IsEmpty());
  life.says("2");
  life.turn();
  life.executor.step_journal();
  life.turn();
  EXPECT_THAT(life.socket.sent, IsEmpty());
}

TEST(Host, TriesAgainWhatFailsForWantOfRoomWithoutDoingTwiceWhatWasDone) {
  MemoryDisk disk;
  Life life(disk);
  life.says("1");
  life.settle();
  int before = 0, after = 0;
  life.tally.before = [&]() -> Result<void> {
    if (++before < 3) return Error{"no room", ENOSPC};
    return {};
  };
  life.tally.after = [&]() -> Result<void> {
    if (++after < 3) return Error{"no descriptor", EMFILE};
    return {};
  };
  life.says("2");
  life.turn();
  for (int i = 0; i < 4; ++i) {
    life.settle();
    EXPECT_THAT(life.socket.sent, ElementsAre("1"));
    EXPECT_LE(life.host.deadline(), life.now.mono + Millis{250});
    life.turn(Millis{250});
  }
  life.settle();
  EXPECT_THAT(life.socket.sent, ElementsAre("1", "3"));
  EXPECT_THAT(life.tally.failures, ElementsAre(ENOSPC, ENOSPC, EMFILE, EMFILE));
  EXPECT_EQ(before, 3);
  EXPECT_EQ(after, 3);
  EXPECT_EQ(life.host.counters().syncs, 2u);
}

TEST(Host, WaitsForADescriptorForTheNextSegmentButNotToBeStopped) {
  MemoryDisk disk;
  Life life(disk);
  disk.fail_when([](Call call, const std::string& path) {
    const bool begins = call == Call::kOpen && (path.find("spare") != std::string::npos);
    return begins ? EMFILE : 0;
  });
  for (int i = 0; life.tally.failures.empty() && i < 100; ++i) {
    life.says("1");
    life.turn();
    life.settle();
  }
  ASSERT_FALSE(life.tally.failures.empty());
  ASSERT_FALSE(life.executor.failure());
  const auto answered = life.socket.sent.size();
  disk.heal();
  life.turn(Millis{250});
  life.settle();
  EXPECT_GT(life.socket.sent.size(), answered);
  disk.fail_when(
      [](Call call, const std::string&) { return call == Call::kOpen || call == Call::kWrite ? EMFILE : 0; });
  life.says("1");
  life.turn();
  life.host.stop();
  life.settle();
  EXPECT_TRUE(life.executor.failure()) << "the next start recovers";
}

TEST(Host, TakesASnapshotThatFailedAgainThoughNothingElseIsToBeWritten) {
  MemoryDisk disk;
  Life life(disk);
  disk.fail_when([](Call, const std::string& path) { return path.find("snapshot") != std::string::npos ? ENOMEM : 0; });
  life.host.want_snapshot();
  life.says("1");
  life.turn();
  life.settle();
  EXPECT_EQ(life.host.counters().snapshots, 0u);
  disk.heal();
  for (int i = 0; i < 3; ++i) {
    life.turn(Millis{1000});
    life.settle();
  }
  EXPECT_EQ(life.host.counters().snapshots, 1u);
}

TEST(Host, TellsTheMachineBeforeItAcknowledgesThatTheDiskHasBecomeLow) {
  MemoryDisk disk;
  disk.set_capacity(40 << 10);
  auto options = Life::small();
  options.journal.low_water = 20 << 10;
  Life life(disk, options);
  EXPECT_THAT(life.tally.spaces, ElementsAre(false)) << "before the first message";
  while (!life.tally.spaces.back()) {
    ASSERT_LT(life.socket.sent.size(), 100u);
    life.says("1");
    life.turn(Millis{0});
    life.executor.step_journal();  // no chore comes round
    life.turn(Millis{0});
  }
  EXPECT_GT(disk.used(), 10u << 10);
  EXPECT_LT(disk.used(), 30u << 10);
}

TEST(Host, AcknowledgesNothingWhereTheJournalCannotBeWritten) {
  MemoryDisk disk;
  Life life(disk);
  disk.fail({.at = disk.calls() + 1, .code = EIO, .permanent = true});
  life.says("1");
  life.turn();
  life.executor.step_journal();
  life.turn();
  EXPECT_TRUE(life.executor.failure());
  EXPECT_THAT(life.socket.sent, IsEmpty());
}

/// Fills segments; each message is 1000 bytes long and counts 1.
void fill(Life& life, int messages) {
  for (int i = 0; i < messages; ++i) {
    life.says("1" + std::string(1000, ' '));
    life.turn();
    life.settle();
  }
}

TEST(Host, DropsSegmentsBehindASnapshotOnceTheirIdsAreInFiles) {
  MemoryDisk disk;
  Life life(disk);
  life.tally.keeps.segments = {2};
  fill(life, 40);
  life.turn(Millis{1000});
  life.settle();
  EXPECT_GT(life.host.counters().snapshots, 3u);
  EXPECT_GT(life.host.counters().id_files, 3u);
  EXPECT_GT(life.host.counters().segments_dropped, 3u);
  EXPECT_EQ(life.host.journal().segments().front().id, 2u) << "the machine keeps it";
  EXPECT_LT(life.host.journal().segments().size(), 8u);
}

TEST(Host, KeepsWhatTheMachineHasNotPassedOn) {
  MemoryDisk disk;
  Life life(disk);
  life.tally.keeps.from = 1;
  fill(life, 20);
  life.turn(Millis{1000});
  life.settle();
  EXPECT_EQ(life.host.journal().segments().front().id, 1u);
  life.tally.keeps.from = 3;
  life.turn(Millis{1000});
  life.settle();
  EXPECT_EQ(life.host.journal().segments().front().id, 3u);
}

TEST(Host, DropsNothingBeforeTheWorkThatSettlesItIsDurableAndAcknowledgesFirst) {
  MemoryDisk disk;
  Life life(disk);
  bool dropped = false;
  life.says("1");
  life.tally.own_drop = [&]() -> Result<void> {
    dropped = true;
    return {};
  };
  life.turn(Millis{1000});
  EXPECT_EQ(life.executor.journal_jobs(), 1u);
  life.executor.step_journal();
  life.turn();
  EXPECT_THAT(life.socket.sent, ElementsAre("1"));
  EXPECT_FALSE(dropped);
  EXPECT_EQ(life.executor.journal_jobs(), 1u);
  life.executor.step_journal();
  EXPECT_TRUE(dropped);
}

TEST(Host, WritesAFileOfIdsAgainThatCouldNotBeWritten) {
  class NoRoomForIds : public MemoryDisk {
   public:
    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
      if (full && mode != OpenMode::kRead && path.find("/ids/") != std::string::npos) return Error{path, ENOSPC};
      return MemoryDisk::open(path, mode);
    }
    bool full = true;
  } disk;
  Life life(disk);
  fill(life, 8);
  life.turn(Millis{1000});
  life.settle();
  EXPECT_EQ(life.host.counters().id_files, 0u);
  disk.full = false;
  for (int i = 0; i < 3; ++i) {
    life.turn(Millis{1000});
    life.settle();
  }
  EXPECT_GT(life.host.counters().id_files, 0u);
}

TEST(Host, RecoversFromTheSnapshotAndWhatCameAfterIt) {
  MemoryDisk disk;
  {
    Life life(disk);
    fill(life, 20);
  }
  disk.kill();
  Life life(disk);
  EXPECT_TRUE(life.tally.restored);
  EXPECT_EQ(life.tally.sum, 20);
}

TEST(Host, ARestartFromTheSnapshotBeforeADamagedOneFindsAllRecordsBehindIt) {
  MemoryDisk disk;
  auto roomy = Life::small();
  roomy.journal.segment_bytes = 16 << 10;  // a snapshot marks a place within one
  {
    Life life(disk, roomy);
    fill(life, 40);
    life.turn(Millis{1000});
    life.settle();
    EXPECT_GT(life.host.counters().segments_dropped, 0u);
  }
  disk.kill();
  std::string last;
  for (const auto& name : disk.list("state/journal").value()) {
    if (name.starts_with("snapshot-")) last = std::max(last, name);
  }
  disk.set_content("state/journal/" + last, "damaged");
  Life life(disk, roomy, true);
  EXPECT_THAT(life.tally.damages, ElementsAre(last));
  EXPECT_TRUE(life.tally.restored);
  EXPECT_EQ(life.tally.sum, 40);
  life.turn(Millis{1000});
  life.settle();
  EXPECT_EQ(life.host.counters().snapshots, 1u) << "two of them again, without a segment begun";
}

TEST(Host, TakesSnapshotsUntilNothingWaitsForOneWhereTheDiskIsLow) {
  MemoryDisk disk;
  auto options = Life::small();
  options.journal.low_water = 20 << 10;
  Life life(disk, options);
  fill(life, 8);
  const auto some_seconds = [&] {
    for (int i = 0; i < 5; ++i) {
      life.turn(Millis{1000});
      life.settle();
    }
  };
  some_seconds();
  ASSERT_GT(life.host.journal().segments().size(), 1u) << "the next segment's snapshot will let it go";
  const auto before = life.host.counters().snapshots;
  disk.set_capacity(disk.used() + 4096);
  some_seconds();
  EXPECT_EQ(life.host.journal().segments().size(), 1u);
  EXPECT_LE(life.host.counters().snapshots, before + 3);
}

TEST(Host, ADrainedHostLeavesASnapshotOfEverything) {
  MemoryDisk disk;
  {
    Life life(disk);
    fill(life, 2);
    life.says("40");
    life.turn();
    life.host.stop();
    EXPECT_TRUE(life.tally.draining);
    EXPECT_FALSE(life.host.drained());
    life.settle();
    ASSERT_TRUE(life.host.drained());
    life.host.close();
    life.executor.step_journal();
  }
  disk.kill();
  Life life(disk);
  EXPECT_EQ(life.tally.sum, 42);
  EXPECT_TRUE(life.tally.restored);
}

TEST(Host, NothingAcknowledgedIsLostWhereverThePowerIsCut) {
  for (uint64_t cut = 1; cut < 400; cut += 3) {
    for (const Cut how : {Cut::kKeep, Cut::kDrop, Cut::kTear}) {
      MemoryDisk disk;
      int64_t acknowledged = 0, said = 0;
      {
        Life life(disk);
        disk.cut_power_at(disk.calls() + cut);
        for (int i = 0; i < 12 && !disk.is_off(); ++i) {
          life.says("1" + std::string(1000, ' '));
          ++said;
          for (int j = 0; j < 4; ++j) {
            life.turn();
            life.executor.step_journal();
            if (j % 2) life.executor.step_chore();
          }
        }
        if (!life.socket.sent.empty()) acknowledged = std::atoll(life.socket.sent.back().c_str());
      }
      disk.power_on(how, cut);
      Life life(disk);
      ASSERT_GE(life.tally.sum, acknowledged) << "cut at " << cut;
      ASSERT_LE(life.tally.sum, said) << "cut at " << cut;
    }
  }
}

TEST(Host, LooksForLostPeersTwiceAndTellsTheMachineWhoIsGone) {
  MemoryDisk disk;
  Life life(disk);
  life.socket.gone = "consumer";
  life.socket.lost = true;
  life.turn();
  EXPECT_THAT(life.tally.lost, ElementsAre("consumer"));
  EXPECT_EQ(life.host.deadline(), Millis{0}) << "what it held goes to others at once";
  life.turn();
  EXPECT_EQ(life.host.deadline(), Millis{1101});
  life.turn(Millis{99});
  EXPECT_EQ(life.tally.lost.size(), 2u);
  life.turn(Millis{500});
  EXPECT_EQ(life.tally.lost.size(), 2u);
}

TEST(Host, TicksAtTheMachinesDeadlineAndLooksOnceASecond) {
  MemoryDisk disk;
  Life life(disk);
  life.turn();
  EXPECT_EQ(life.tally.looks, 1);
  life.tally.next_tick = life.now.mono + Millis{300};
  EXPECT_EQ(life.host.deadline(), life.now.mono + Millis{300});
  life.turn(Millis{299});
  EXPECT_THAT(life.tally.ticks, IsEmpty());
  life.turn(Millis{1});
  EXPECT_THAT(life.tally.ticks, ElementsAre(life.now.mono));
  life.turn(Millis{500});
  EXPECT_EQ(life.tally.looks, 1);
  life.turn(Millis{200});
  EXPECT_EQ(life.tally.looks, 2);
}

TEST(Host, LooksAtTheDisksRoomAtTheStartAndWithEachSegment) {
  MemoryDisk disk;
  auto options = Life::small();
  options.journal.low_water = 1 << 20;
  disk.set_capacity(1 << 10 << 10);
  Life life(disk, options);
  EXPECT_THAT(life.tally.spaces, ElementsAre(true)) << "before the first message";
  disk.set_capacity(64 << 20);
  life.turn();
  fill(life, 8);
  EXPECT_FALSE(life.tally.spaces.back());
  const size_t looked = life.tally.spaces.size();
  disk.set_capacity(1 << 20);
  fill(life, 8);  // the clock stands well within a second
  ASSERT_GT(life.tally.spaces.size(), looked);
  EXPECT_TRUE(life.tally.spaces.back());
}

TEST(ThreadExecutor, DoesALanesJobsInOrderAndTheirResultsOnTheLoop) {
  std::atomic<int> wakes = 0;
  ThreadExecutor executor([&] {
    ++wakes;
    wakes.notify_all();
  });
  std::vector<int> done;  // the journal lane's alone, then this thread's
  std::vector<std::thread::id> loop;
  for (int i = 0; i < 3; ++i) {
    executor.journal([&, i]() -> Executor::OnLoop {
      done.push_back(i);
      return [&](Now) { loop.push_back(std::this_thread::get_id()); };
    });
  }
  executor.chore([]() -> Executor::OnLoop { return {}; });
  executor.finish();
  EXPECT_EQ(wakes, 3);
  executor.run_posted({});
  EXPECT_THAT(done, ElementsAre(0, 1, 2));
  EXPECT_THAT(loop, ElementsAre(std::this_thread::get_id(), std::this_thread::get_id(), std::this_thread::get_id()));
}

}  // namespace
}  // namespace detent::test
