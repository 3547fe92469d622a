#include "journal/journal.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <random>
#include <thread>

#include <unistd.h>

#include "tests/support/memory_disk.h"

namespace detent::test {
namespace {

const std::string kDirectory = "state/journal";

JournalOptions small() {
  JournalOptions options;
  options.segment_bytes = 16 << 10;
  options.reserve_bytes = 0;
  options.low_water = 0;
  return options;
}

std::string record(int seq, std::size_t length = 200) {
  std::string text = fmt::format("{:08}", seq);
  text.resize(std::max(text.size(), length), static_cast<char>('a' + seq % 26));
  return text;
}

std::vector<RecordPosition> append(Journal& journal, int first, int count, std::size_t length = 200) {
  Batch batch;
  std::vector<RecordPosition> places;
  for (int seq = first; seq < first + count; ++seq) {
    const std::uint32_t offset = batch.append(record(seq, length));
    places.push_back({0, offset, static_cast<std::uint32_t>(record(seq, length).size())});
  }
  const Appended appended = journal.append(batch).value();
  for (RecordPosition& place : places) {
    place.segment = appended.segment;
    place.offset += appended.base_offset;
  }
  return places;
}

std::vector<std::string> records_of(Disk& disk, const JournalOptions& options = small()) {
  std::vector<std::string> records;
  JournalVisitor visitor;
  visitor.record = [&](const RecordPosition&, std::string_view bytes, bool) { records.emplace_back(bytes); };
  Journal::open(disk, kDirectory, options, visitor).value();
  return records;
}

TEST(Batch, TakesRecordsInPiecesAndWhole) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  Batch batch;
  const std::uint32_t whole = batch.append("whole");
  char* room = batch.begin(100'000);
  std::copy_n("pieces", 6, room);
  const std::uint32_t pieces = batch.finish(6);
  EXPECT_EQ(batch.count(), 2u);
  const Appended appended = journal->append(batch).value();
  auto reader = journal->reader();
  EXPECT_EQ(reader->read({appended.segment, appended.base_offset + whole, 5}).value(), "whole");
  EXPECT_EQ(reader->read({appended.segment, appended.base_offset + pieces, 6}).value(), "pieces");
  batch.clear();
  EXPECT_TRUE(batch.empty());
}

TEST(Journal, ReadsEveryRecordByItsPlaceAlsoAfterARestart) {
  MemoryDisk disk;
  std::vector<RecordPosition> places;
  {
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    auto reader = journal->reader(4096);
    for (int i = 0; i < 300; i += 3) {
      for (const RecordPosition& place : append(*journal, i, 3)) places.push_back(place);
      EXPECT_EQ(reader->read(places.back()).value(), record(i + 2));
    }
    EXPECT_GT(journal->segments().size(), 3u);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(reader->read(places[static_cast<std::size_t>(i)]).value(), record(i));
    journal->close().value();
    EXPECT_FALSE(journal->append(*std::make_unique<Batch>())) << "a closed journal takes no more";
  }
  std::vector<RecordPosition> visited;
  JournalVisitor visitor;
  visitor.record = [&](const RecordPosition& place, std::string_view, bool after) {
    EXPECT_TRUE(after);
    visited.push_back(place);
  };
  auto journal = Journal::open(disk, kDirectory, small(), visitor).value();
  EXPECT_EQ(visited, places);
  EXPECT_EQ(journal->reader()->read(places[7]).value(), record(7));
}

TEST(Journal, ReadingOnwardsCostsOneCallOfTheDiskAWindow) {
  MemoryDisk disk;
  JournalOptions options = small();
  options.segment_bytes = 1 << 20;
  auto journal = Journal::open(disk, kDirectory, options, {}).value();
  const auto places = append(*journal, 0, 1000);
  auto reader = journal->reader(64 << 10);
  const std::uint64_t calls = disk.calls();
  for (const RecordPosition& place : places) reader->read(place).value();
  EXPECT_LE(disk.calls() - calls, 6u);
}

TEST(Journal, TheSameSeedWritesTheSameBytes) {
  const auto digest = [](std::uint64_t seed) {
    MemoryDisk disk;
    JournalOptions options = small();
    options.seed = seed;
    auto journal = Journal::open(disk, kDirectory, options, {}).value();
    for (int i = 0; i < 200; i += 4) append(*journal, i, 4);
    return disk.digest();
  };
  EXPECT_EQ(digest(1), digest(1));
  EXPECT_NE(digest(1), digest(2)) << "each journal's segments have salts of their own";
}

TEST(Journal, ARecordLargerThanASegmentIsTaken) {
  MemoryDisk disk;
  {
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    append(*journal, 0, 1);
    append(*journal, 1, 1, 100'000);
    append(*journal, 2, 1);
  }
  EXPECT_EQ(records_of(disk), (std::vector{record(0), record(1, 100'000), record(2)}));
}

TEST(Journal, ASegmentThatGrowsIsLeftForAReadyOne) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  const auto grows = append(*journal, 0, 1)[0].segment;
  EXPECT_EQ(append(*journal, 1, 1)[0].segment, grows) << "while none is ready";
  ASSERT_TRUE(journal->prepare_spare().value());
  const auto ready = append(*journal, 2, 1)[0].segment;
  EXPECT_NE(ready, grows);
  ASSERT_TRUE(journal->prepare_spare().value());
  EXPECT_EQ(append(*journal, 3, 1)[0].segment, ready) << "this one does not grow";
  journal.reset();
  EXPECT_EQ(records_of(disk), (std::vector{record(0), record(1), record(2), record(3)}));
}

TEST(Journal, ADroppedSegmentIsGoneAndItsFileServesAgain) {
  MemoryDisk disk;
  JournalOptions options = small();
  options.spares = 1;
  auto journal = Journal::open(disk, kDirectory, options, {}).value();
  ASSERT_TRUE(journal->prepare_spare().value());
  EXPECT_FALSE(journal->prepare_spare().value()) << "one is enough";
  std::vector<RecordPosition> places;
  for (int i = 0; journal->segments().size() < 3; ++i) places.push_back(append(*journal, i, 1)[0]);
  const auto segments = journal->segments();
  auto reader = journal->reader();
  const RecordPosition dropped =
      *std::find_if(places.begin(), places.end(), [&](auto& p) { return p.segment == segments[1].id; });
  EXPECT_TRUE(reader->read(dropped));
  EXPECT_EQ(journal->space().value().spares, 0u);
  journal->drop(std::vector{segments[1].id}).value();
  EXPECT_EQ(journal->space().value().spares, 1u);
  EXPECT_EQ(reader->read(dropped).error().code, ENOENT);
  EXPECT_EQ(reader->read(places[0]).value(), record(0));
  EXPECT_EQ(journal->segments().size(), 2u);
}

TEST(Journal, ManyStartsLeaveNoSegmentsWithoutRecords) {
  MemoryDisk disk;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(records_of(disk).size(), 0u);
  append(*Journal::open(disk, kDirectory, small(), {}).value(), 1, 1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(records_of(disk).size(), 1u);
  EXPECT_LE(Journal::open(disk, kDirectory, small(), {}).value()->segments().size(), 2u);
}

TEST(Journal, OnlyOneMayUseADirectory) {
  MemoryDisk disk;
  const auto first = Journal::open(disk, kDirectory, small(), {}).value();
  EXPECT_EQ(Journal::open(disk, kDirectory, small(), {}).error().code, EWOULDBLOCK);
}

TEST(Journal, SaysThatTheDiskIsLowAndGivesTheReserveUpWhenItIsFull) {
  MemoryDisk disk;
  disk.set_capacity(160 << 10);
  JournalOptions options = small();
  options.spares = 1;
  options.reserve_bytes = 48 << 10;
  options.low_water = 40 << 10;
  auto journal = Journal::open(disk, kDirectory, options, {}).value();
  ASSERT_TRUE(journal->refill_reserve().value());
  ASSERT_TRUE(journal->space().value().reserve_held);
  int appended = 0;
  while (!journal->space().value().low) append(*journal, appended++, 4);
  EXPECT_FALSE(journal->prepare_spare().value()) << "no spare is made of the last bytes";
  while (journal->space().value().reserve_held) append(*journal, appended++, 4);
  append(*journal, appended++, 4);
  EXPECT_FALSE(journal->refill_reserve().value());

  std::vector<std::uint64_t> sealed;
  for (const SegmentInfo& segment : journal->segments()) {
    if (!segment.open) sealed.push_back(segment.id);
  }
  journal->drop(sealed).value();
  EXPECT_FALSE(journal->space().value().low);
  EXPECT_TRUE(journal->refill_reserve().value());
  append(*journal, appended++, 4);
}

TEST(Journal, AFullDiskIsAnErrorAndLosesNothing) {
  MemoryDisk disk;
  disk.set_capacity(64 << 10);
  int taken = 0;
  {
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    for (;;) {
      Batch batch;
      batch.append(record(taken));
      const auto appended = journal->append(batch);
      if (!appended) {
        EXPECT_EQ(appended.error().code, ENOSPC);
        EXPECT_FALSE(journal->append(batch)) << "it takes no more";
        break;
      }
      ++taken;
    }
  }
  disk.set_capacity(128 << 10);
  const auto records = records_of(disk);
  ASSERT_GE(records.size(), static_cast<std::size_t>(taken));
  for (int i = 0; i < taken; ++i) EXPECT_EQ(records[static_cast<std::size_t>(i)], record(i));
}

TEST(Journal, GoesOnInAFreshSegmentAfterAFailedSyncAndSaysSo) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  append(*journal, 0, 2);
  disk.fail({.at = disk.calls() + 1, .code = EIO});
  Batch batch;
  batch.append(record(2));
  const Appended appended = journal->append(batch).value();
  EXPECT_TRUE(appended.rolled);
  EXPECT_TRUE(appended.after_failure);
  EXPECT_NE(appended.failure.find("Input/output error"), std::string::npos) << appended.failure;
  EXPECT_EQ(appended.sealed + 1, appended.segment);
  journal.reset();
  disk.power_on(Cut::kDrop, 0);
  EXPECT_EQ(records_of(disk), (std::vector{record(0), record(1), record(2)}));
}

TEST(JournalTail, StartsInTheMiddleAndStopsAtTheMark) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  std::vector<RecordPosition> places;
  std::vector<LogPosition> marks;
  for (int i = 0; i < 200; ++i) {
    places.push_back(append(*journal, i, 1)[0]);
    marks.push_back(journal->end());
  }
  auto tail = journal->tail(places[50], 2048);
  for (int i = 50; i < 120; ++i) EXPECT_EQ((*tail->next(marks[119]).value()).bytes, record(i));
  EXPECT_FALSE(tail->next(marks[119]).value());
  EXPECT_FALSE(tail->next(marks[10]).value()) << "a mark behind it";
  EXPECT_EQ((*tail->next(marks[199]).value()).place, places[120]);
}

/// Each call that reads fails with this chance.
MemoryDisk::Failing reads_fail_at_random(std::uint64_t seed, std::uint64_t one_in) {
  return [dice = std::mt19937_64(seed), one_in](Call call, const std::string&) mutable {
    constexpr int kCodes[] = {EMFILE, ENFILE, ENOMEM, EIO, EACCES};
    const bool reads = call == Call::kOpen || call == Call::kRead || call == Call::kSize;
    return reads && dice() % one_in == 0 ? kCodes[dice() % 5] : 0;
  };
}

TEST(JournalTail, TellsEachRecordOnceWhateverFailsForAMoment) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    MemoryDisk disk;
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    const auto places = append(*journal, 0, 40);
    for (int i = 40; i < 120; ++i) append(*journal, i, 1);
    if (seed % 2) {  // a batch in the middle loses a record, and what is whole of it is told one by one
      const std::string path = kDirectory + "/" + disk.list(kDirectory).value().at(0);
      std::string bytes = disk.content(path).value();
      bytes[places[20].offset + 50] ^= 1;
      disk.set_content(path, bytes);
    }
    disk.fail_when(reads_fail_at_random(seed, 3));
    auto tail = journal->tail({}, 512);
    std::vector<std::string> told;
    int lost = 0;
    for (;;) {
      const auto next = tail->next(journal->end());
      if (!next) {
        lost += is_lost(next.error());
        continue;
      }
      if (!*next) break;
      told.emplace_back((*next)->bytes);
    }
    std::vector<std::string> all;
    for (int i = 0; i < 120; ++i) {
      if (seed % 2 && i == 20) continue;
      all.push_back(record(i));
    }
    ASSERT_EQ(told, all) << "seed " << seed;
    ASSERT_EQ(lost, static_cast<int>(seed % 2)) << "seed " << seed;
  }
}

TEST(JournalTail, ARecordKeepsItsOriginWhereARestartCopiesIt) {
  MemoryDisk disk;
  std::map<std::string, RecordPosition> origins;
  bool copied = false;
  for (int life = 0; life < 6; ++life) {
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    for (int i = 0; i < life; ++i) append(*journal, 100 * life + 2 * i, 2);  // none in the first, then more and more
    std::optional<RecordPosition> before;
    auto tail = journal->tail();
    while (const auto next = tail->next(journal->end()).value()) {
      const auto [known, fresh] = origins.emplace(next->bytes, next->origin);
      EXPECT_EQ(known->second, next->origin) << "life " << life;
      copied |= next->origin != next->place && !fresh;
      EXPECT_TRUE(!before || *before < next->origin);
      before = next->origin;
    }
    journal.reset();
    disk.kill();
  }
  EXPECT_TRUE(copied);
}

TEST(JournalTail, GoesPastASegmentWhoseFileIsGoneAndSaysSoOnce) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  for (int i = 0; journal->segments().size() < 4; ++i) append(*journal, i, 1);
  disk.remove(kDirectory + "/" + disk.list(kDirectory).value().at(1)).value();
  auto tail = journal->tail();
  int told = 0, lost = 0;
  for (;;) {
    const auto next = tail->next(journal->end());
    if (!next) {
      ++lost;
      continue;
    }
    if (!*next) break;
    ++told;
  }
  EXPECT_EQ(lost, 1);
  EXPECT_GT(told, 0);
}

TEST(Journal, WhatCannotBeReadForAMomentIsNotTakenForDamage) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  std::vector<RecordPosition> places;
  for (int i = 0; i < 100; ++i) places.push_back(append(*journal, i, 1)[0]);
  disk.fail_when(reads_fail_at_random(7, 2));
  auto reader = journal->reader(512);
  int failed = 0;
  for (int i = 0; i < 100;) {
    const auto got = reader->read(places[static_cast<std::size_t>(i)]);
    if (!got) {
      ++failed;
      ASSERT_FALSE(is_lost(got.error())) << got.error().what;
      continue;
    }
    ASSERT_EQ(*got, record(i++));
  }
  EXPECT_GT(failed, 20);
}

TEST(Journal, WhatCouldNotBeDroppedIsStillThereAndDroppedLater) {
  for (const Call fails : {Call::kRemove, Call::kSyncDirectory}) {
    MemoryDisk disk;
    JournalOptions options = small();
    options.spares = 0;
    auto journal = Journal::open(disk, kDirectory, options, {}).value();
    RecordPosition first = append(*journal, 0, 1)[0];
    for (int i = 1; journal->segments().size() < 3; ++i) append(*journal, i, 1);
    const auto id = journal->segments()[0].id;
    disk.fail_when([&](Call call, const std::string&) { return call == fails ? EIO : 0; });
    EXPECT_FALSE(journal->drop(std::vector{id}));
    disk.heal();
    if (fails != Call::kSyncDirectory) {
      EXPECT_EQ(journal->reader()->read(first).value(), record(0));
      EXPECT_EQ(journal->segments().size(), 3u);
    }
    for (int i = 50; i < 52; ++i) append(*journal, i, 1);
    journal->drop(std::vector{id}).value();
    EXPECT_EQ(journal->segments().size(), 2u);
    journal.reset();
    disk.power_on(Cut::kDrop, 0);
    EXPECT_FALSE(records_of(disk, options).empty());
  }
}

TEST(Journal, WhereNoSegmentCanBeBegunTheSameBatchMayComeAgain) {
  for (const int code : {EMFILE, ENOMEM, ENOSPC}) {
    MemoryDisk disk;
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    int taken = 0;
    while (journal->segments().size() < 2) append(*journal, taken++, 1);
    disk.fail_when([&](Call call, const std::string&) {
      return call == Call::kOpen || call == Call::kWrite || call == Call::kSyncDirectory ? code : 0;
    });
    Batch batch;
    batch.append(record(taken));
    for (int i = 0; i < 3; ++i) {
      const Error error = journal->append(batch).error();
      EXPECT_EQ(error.code, code);
      ASSERT_TRUE(may_pass(error));
    }
    disk.heal();
    const Appended appended = journal->append(batch).value();
    EXPECT_TRUE(appended.rolled && appended.after_failure) << "never again in the segment whose write failed";
    journal.reset();
    disk.power_on(Cut::kDrop, 0);
    std::vector<std::string> all;
    for (int i = 0; i <= taken; ++i) all.push_back(record(i));
    EXPECT_EQ(records_of(disk), all);
  }
}

TEST(Journal, ASegmentThatWasNamedInVainEndsTheOneBeforeIt) {
  // Its header may be on the disk, and says where the one before it ends: what went there later would be lost.
  MemoryDisk disk;
  JournalOptions options = small();
  options.spares = 1;
  auto journal = Journal::open(disk, kDirectory, options, {}).value();
  append(*journal, 0, 1);
  ASSERT_TRUE(journal->prepare_spare().value());  // so that the open segment, which grows, is left for it
  disk.fail_when([](Call call, const std::string&) { return call == Call::kSyncDirectory ? ENOMEM : 0; });
  Batch batch;
  batch.append(record(1));
  ASSERT_TRUE(may_pass(journal->append(batch).error()));
  disk.heal();
  ASSERT_TRUE(journal->append(batch));
  append(*journal, 2, 1);
  journal.reset();
  disk.kill();
  EXPECT_EQ(records_of(disk, options), (std::vector{record(0), record(1), record(2)}));
}

TEST(Journal, WhileItsDirectoryCannotBeSyncedNoFilesPileUpAndNoneStays) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  int taken = 0;
  while (journal->segments().size() < 2) append(*journal, taken++, 1);
  const auto files = [&] { return disk.list(kDirectory).value().size(); };
  const size_t before = files();
  Batch batch;
  batch.append(std::string(small().segment_bytes, 'x'));  // asks for a segment of its own
  disk.fail_when([](Call call, const std::string&) { return call == Call::kSyncDirectory ? EMFILE : 0; });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(may_pass(journal->append(batch).error()));
  EXPECT_LE(files(), before + 1);
  disk.heal();
  ASSERT_TRUE(journal->append(batch));
  EXPECT_EQ(files(), before + 1);
}

TEST(Journal, ASnapshotOfBeforeIsNotTakenForTheLast) {
  MemoryDisk disk;
  auto journal = Journal::open(disk, kDirectory, small(), {}).value();
  append(*journal, 0, 1);
  const LogPosition early = journal->end();
  while (journal->segments().size() < 3) append(*journal, 1, 1);
  ASSERT_TRUE(journal->put_snapshot(journal->end(), "late"));
  ASSERT_TRUE(journal->put_snapshot(early, "early"));
  journal.reset();
  std::string found;
  JournalVisitor visitor;
  visitor.snapshot = [&](std::string_view bytes) { found = bytes; };
  ASSERT_TRUE(Journal::open(disk, kDirectory, small(), visitor));
  EXPECT_EQ(found, "late");
}

TEST(Journal, StartsOnAFullDiskByGivingBackWhatTheLastSegmentDidNotUse) {
  MemoryDisk disk;
  JournalOptions options = small();
  options.spares = 1;
  {
    auto journal = Journal::open(disk, kDirectory, options, {}).value();
    ASSERT_TRUE(journal->prepare_spare().value());
    append(*journal, 0, 1);
    append(*journal, 1, 1);
  }
  disk.kill();
  disk.set_capacity(disk.used());
  EXPECT_EQ(records_of(disk, options), (std::vector{record(0), record(1)}));
}

TEST(JournalTail, FollowsOnAnotherThreadWhileSegmentsRollAndAreDropped) {
  const std::string directory = testing::TempDir() + fmt::format("detent-journal-{}-{}", ::getpid(),
                                                                 testing::UnitTest::GetInstance()->random_seed());
  std::filesystem::remove_all(directory);
  RealDisk disk;
  JournalOptions options = small();
  options.segment_bytes = 64 << 10;
  constexpr int kRecords = 4000;
  {
    auto journal = Journal::open(disk, directory, options, {}).value();
    std::atomic<int> read{0};
    std::thread follower([&, tail = journal->tail({}, 8192), reader = journal->reader(8192)] {
      while (read < kRecords) {
        const auto next = tail->next(journal->end());
        ASSERT_TRUE(next) << next.error().what;
        if (!*next) {
          std::this_thread::yield();
          continue;
        }
        ASSERT_EQ((*next)->bytes, record(read));
        ASSERT_EQ(reader->read((*next)->place).value(), record(read));
        ++read;
      }
    });
    std::thread housekeeper([&] {
      while (read < kRecords) {
        ASSERT_TRUE(journal->prepare_spare());
        ASSERT_TRUE(journal->space());
        std::this_thread::yield();
      }
    });
    for (int i = 0; i < kRecords; i += 20) {
      append(*journal, i, 20);
      const auto segments = journal->segments();
      if (segments.size() > 4 && read > i - 300) journal->drop(std::vector{segments[0].id}).value();
    }
    follower.join();
    housekeeper.join();
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace detent::test
