#include "broker/disk_watch.h"

#include "tests/broker/core_fixture.h"

namespace detent {

namespace {

struct DiskWatchTest : CoreTest {
  DiskWatch watch() { return DiskWatch(*core, 1 << 30); }
  bool stands() const { return core->alarms().stands("journal-write"); }
  void wait(Millis time) {
    now.mono += time;
    now.wall += time;
  }
};

}  // namespace

TEST_F(DiskWatchTest, AWriteThatFailedIsOverOnceWritesWentWellForAMinuteAlsoWhereNothingMoreIsWritten) {
  auto disk_watch = watch();
  disk_watch.cannot_write(Error{"no space left on device"}, now);
  EXPECT_TRUE(stands());
  disk_watch.wrote({}, now);
  wait(Millis{59'000});
  disk_watch.took_space({}, now);
  EXPECT_TRUE(stands());
  wait(Millis{1'000});
  disk_watch.took_space({}, now);
  EXPECT_FALSE(stands());
}

TEST_F(DiskWatchTest, AWriteThatStillFailsKeepsItsAlarmHoweverLongItIsAgo) {
  auto disk_watch = watch();
  disk_watch.cannot_write(Error{"no space left on device"}, now);
  wait(Millis{3'600'000});
  disk_watch.took_space({}, now);
  EXPECT_TRUE(stands());
}

TEST_F(DiskWatchTest, IsNotReadyWhileTheJournalCannotBeWritten) {
  auto disk_watch = watch();
  EXPECT_EQ(disk_watch.unready(), "");
  disk_watch.cannot_write(Error{"too many open files"}, now);
  EXPECT_EQ(disk_watch.unready(), "the journal cannot be written");
  disk_watch.wrote({}, now);
  EXPECT_EQ(disk_watch.unready(), "");
}

TEST_F(DiskWatchTest, AnAlarmFromBeforeTheStartEndsAtTheFirstLook) {
  watch().cannot_write(Error{"input/output error"}, now);
  sync();
  restart();
  ASSERT_TRUE(stands());
  auto disk_watch = watch();
  disk_watch.took_space({}, now);
  EXPECT_FALSE(stands());
}

}  // namespace detent
