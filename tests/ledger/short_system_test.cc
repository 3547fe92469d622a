// Where the system is short of something for a moment, the ledger says so, goes on by itself afterwards, and takes
// nothing for damaged or done.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <random>

#include "ledger/audit/audit_reader.h"
#include "ledger/repository/packer.h"
#include "tests/ledger/bench.h"

namespace detent {
namespace {

using test::git;
using test::Writer;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = LedgerAlarm::Kind;

/// While it lives, this process can open only so many more descriptors.
class FewDescriptors {
 public:
  explicit FewDescriptors(unsigned left) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    const rlimit less{static_cast<rlim_t>(next) + left, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &less), 0);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

/// While it lives, this process may not read or write what belongs to its user.
class NoAccess {
 public:
  explicit NoAccess(std::filesystem::path path) : path_{std::move(path)} {
    if (root_) {
      EXPECT_EQ(seteuid(65534), 0);
    } else {
      std::filesystem::permissions(path_, std::filesystem::perms::none);
    }
  }
  ~NoAccess() {
    if (root_) {
      EXPECT_EQ(seteuid(0), 0);
    } else {
      std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
    }
  }
  NoAccess(const NoAccess&) = delete;
  NoAccess& operator=(const NoAccess&) = delete;

 private:
  std::filesystem::path path_;
  bool root_ = geteuid() == 0;
};

class ShortSystemTest : public testing::Test {
 protected:
  ShortSystemTest() {
    for (int i = 0; i < 3; ++i) writer_.signal();
  }
  std::filesystem::path repository() const { return folder_ / "ledger.git"; }
  std::vector<LedgerAlarm> alarms() { return writer_.log->take_alarms(); }
  /// The next turns, after the pause that follows a failure.
  void later() {
    writer_.time += Millis{1'500};
    writer_.turns();
  }
  void expect_whole(std::uint64_t signals) const {
    const auto report = AuditReader::open(repository())->verify({.first_seq = 1, .last_seq = signals});
    ASSERT_TRUE(report) << report.error().what;
    EXPECT_THAT(report->problems, IsEmpty());
    EXPECT_EQ(report->signals, signals);
    EXPECT_THAT(git(repository(), {"for-each-ref", "refs/detent/damaged"}), IsEmpty());
  }

  test::Folder folder_;
  Writer writer_{{.repository = repository()}};
};

TEST_F(ShortSystemTest, WithoutADescriptorItWaitsAndSaysWhy) {
  {
    const FewDescriptors none(0);
    writer_.signal();
  }
  EXPECT_EQ(writer_.log->progress().last_seq, 3u);
  auto said = alarms();
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_EQ(said[0].kind, Kind::write_failed);
  EXPECT_THAT(said[0].text, HasSubstr("Too many open files"));
  EXPECT_THAT(said[0].remedy, HasSubstr("LimitNOFILE"));
  later();
  said = alarms();
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_TRUE(said[0].resolved);
  EXPECT_EQ(writer_.log->progress().last_seq, 4u);
  expect_whole(4);
}

/// However many calls succeed before the first that does not, and whether the objects and refs are loose or packed.
TEST_F(ShortSystemTest, TakesNothingForDamagedWhereverTheDescriptorsEnd) {
  for (unsigned left = 0; left < 12; ++left) {
    if (left % 2) git(repository(), {"gc", "-q"});
    writer_.restart();
    {
      const FewDescriptors few(left);
      writer_.signal();
    }
    later();
    EXPECT_EQ(writer_.log->progress().last_seq, writer_.seq) << left;
    for (const LedgerAlarm& alarm : alarms()) EXPECT_EQ(alarm.kind, Kind::write_failed) << left << ": " << alarm.text;
  }
  expect_whole(writer_.seq);
}

TEST_F(ShortSystemTest, BeginsNothingAnewWhereItCannotBeOpened) {
  const std::string tip = writer_.log->progress().tip;
  for (unsigned left = 0; left < 12; ++left) {
    if (left == 6) git(repository(), {"gc", "-q"});
    writer_.close();
    Result<std::unique_ptr<AuditLog>> log = Error{};
    {
      const FewDescriptors few(left);
      log = AuditLog::open(writer_.options, test::at(writer_.time));
    }
    if (log) {
      EXPECT_EQ((*log)->progress().tip, tip) << left;
      EXPECT_THAT((*log)->take_alarms(), IsEmpty()) << left;
    } else {
      EXPECT_EQ(log.error().code, EMFILE) << left << ": " << log.error().what;
    }
    log = Error{};
    writer_.restart();
    EXPECT_EQ(writer_.log->progress().tip, tip) << left;
    EXPECT_THAT(alarms(), IsEmpty()) << left;
  }
  expect_whole(3);
}

TEST_F(ShortSystemTest, AProofThatCannotBeReadToItsEndFindsNothingWrong) {
  const auto reader = AuditReader::open(repository());
  ASSERT_TRUE(reader);
  for (unsigned left = 0; left < 12; ++left) {
    const FewDescriptors few(left);
    const auto report = reader->verify({.first_seq = 1, .last_seq = 3});
    if (report) {
      EXPECT_THAT(report->problems, IsEmpty()) << left;
    } else {
      EXPECT_EQ(report.error().code, EMFILE) << report.error().what;
    }
  }
}

TEST_F(ShortSystemTest, WithoutAccessItWaitsAndSaysWhy) {
  {
    const NoAccess locked(folder_ / "");
    writer_.signal();
  }
  auto said = alarms();
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_EQ(said[0].kind, Kind::write_failed);
  EXPECT_THAT(said[0].text, HasSubstr("Permission denied"));
  later();
  EXPECT_EQ(writer_.log->progress().last_seq, 4u);
  ASSERT_THAT(said = alarms(), SizeIs(1));
  EXPECT_TRUE(said[0].resolved);
  expect_whole(4);
}

/// A disk of a few megabytes, in memory; only root may make one.
class FullDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    if (mount("tmpfs", disk().c_str(), "tmpfs", 0, "size=4m") != 0)
      GTEST_SKIP() << "only root may mount a disk to fill";
    mounted_ = true;
    writer_.emplace(AuditLog::Options{.repository = disk() / "ledger.git"});
    for (int i = 0; i < 3; ++i) writer_->signal();
  }
  void TearDown() override {
    writer_.reset();
    if (mounted_) umount2(disk().c_str(), MNT_DETACH);
  }
  std::filesystem::path disk() const { return folder_ / "."; }
  std::uint64_t free() const {
    struct statvfs about {};
    statvfs(disk().c_str(), &about);
    return about.f_bavail * about.f_frsize;
  }
  /// All but so many bytes are taken, by something else than the ledger.
  void fill(std::uint64_t but) const {
    const int file = open((disk() / "full").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_EQ(posix_fallocate(file, 0, static_cast<off_t>(free() - but)), 0);
    close(file);
  }
  void make_room() const { std::filesystem::remove(disk() / "full"); }
  void expect_to_go_on() {
    make_room();
    writer_->time += Millis{10'500};
    writer_->turns();
    const auto said = writer_->log->take_alarms();
    ASSERT_THAT(said, SizeIs(1));
    EXPECT_TRUE(said[0].resolved);
    EXPECT_EQ(writer_->log->progress().last_seq, writer_->seq);
    const auto report = AuditReader::open(disk() / "ledger.git")->verify({.first_seq = 1, .last_seq = writer_->seq});
    ASSERT_TRUE(report) << report.error().what;
    EXPECT_THAT(report->problems, IsEmpty());
    const auto fsck = test::fsck(disk() / "ledger.git");
    EXPECT_EQ(fsck.code, 0) << fsck.out << fsck.err;
  }

  test::Folder folder_;
  bool mounted_ = false;
  std::optional<Writer> writer_;
};

TEST_F(FullDiskTest, SaysThatThereIsNoSpaceAndGoesOnWhenThereIs) {
  fill(0);
  writer_->signal();
  const auto said = writer_->log->take_alarms();
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_EQ(said[0].kind, Kind::write_failed);
  EXPECT_THAT(said[0].text, HasSubstr("No space left on device"));
  EXPECT_THAT(said[0].remedy, HasSubstr("Free space on the disk of"));
  EXPECT_EQ(writer_->log->progress().last_seq, 3u);
  expect_to_go_on();
}

TEST_F(FullDiskTest, SaysThatThereIsNoSpaceOfALargeSignalToo) {
  // Bytes that do not shrink, more than libgit2 writes at once: it gives no reason then.
  std::mt19937_64 random(1);
  for (const std::uint64_t left : {8 << 10, 64 << 10, 200 << 10}) {
    auto large = test::made(++writer_->seq);
    large.raw.resize(300 << 10);
    for (char& byte : large.raw) byte = static_cast<char>(random());
    fill(left);
    writer_->log->add(large.signal(++writer_->place, writer_->seq, test::kNoon + writer_->time),
                      test::at(writer_->time));
    writer_->time += Millis{3'000};
    writer_->turns();
    const auto said = writer_->log->take_alarms();
    ASSERT_THAT(said, SizeIs(1)) << left;
    EXPECT_THAT(said[0].text, HasSubstr("No space left on device")) << left;
    expect_to_go_on();
  }
}

TEST_F(FullDiskTest, TryingAgainTakesNoMoreOfTheDisk) {
  // Room for some of what a commit is made of, and not for all of it.
  for (const unsigned blocks : {1u, 2u, 3u, 4u}) {
    fill(blocks * 4096);
    writer_->signal();
    ASSERT_LT(writer_->log->progress().last_seq, writer_->seq) << blocks;
    const auto left = free();
    for (int tries = 0; tries < 10; ++tries) writer_->signal();
    EXPECT_EQ(free(), left) << blocks;
    const auto said = writer_->log->take_alarms();
    ASSERT_THAT(said, SizeIs(1));
    EXPECT_FALSE(said[0].resolved);
    expect_to_go_on();
  }
}

TEST_F(FullDiskTest, OpensWithNoByteFree) {
  writer_->close();
  fill(0);
  writer_->restart();
  EXPECT_EQ(writer_->log->progress().last_seq, 3u);
  EXPECT_THAT(writer_->log->take_alarms(), IsEmpty());
}

TEST_F(FullDiskTest, LeavesTheLastEighthOfLowWaterToTheJournal) {
  writer_->options.low_water = 1 << 20;
  writer_->restart();
  fill(100 << 10);
  writer_->signal();
  const auto said = writer_->log->take_alarms();
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_THAT(said[0].text, HasSubstr("no space left on device"));
  EXPECT_THAT(said[0].text, HasSubstr("100 KiB free, less than the 128 KiB that are left to the journal"));
  EXPECT_EQ(free(), 100u << 10);
  expect_to_go_on();
  // Below low water, and above its last eighth, commits go on.
  fill(200 << 10);
  writer_->signal();
  EXPECT_EQ(writer_->log->progress().last_seq, writer_->seq);
}

TEST_F(FullDiskTest, APackingThatWouldTakeTheLastRoomIsStoppedAndLeavesNothingBehind) {
  const auto repository = disk() / "ledger.git";
  Packer packer{{.repository = repository, .max_loose = 1, .low_water = 300 << 10}};
  const Millis start = system_now().mono;
  ASSERT_FALSE(packer.turn(start));
  ASSERT_TRUE(packer.busy());
  fill(100 << 10);
  // What a packer leaves that was stopped while it wrote.
  test::write_file(repository / "objects/pack/tmp_pack_abc123", "half");
  const auto outcome = packer.turn(start);
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->packed);
  EXPECT_THAT(outcome->reason, HasSubstr("no space left on device"));
  EXPECT_FALSE(packer.busy());
  EXPECT_FALSE(std::filesystem::exists(repository / "objects/pack/tmp_pack_abc123"));
  make_room();
  writer_->signal();
  EXPECT_EQ(writer_->log->progress().last_seq, 4u);
  const auto fsck = test::fsck(repository);
  EXPECT_EQ(fsck.code, 0) << fsck.out << fsck.err;
}

TEST_F(FullDiskTest, DoesNotPackBelowLowWater) {
  writer_->options.low_water = 300 << 10;
  writer_->options.max_loose = 10;
  writer_->restart();
  fill(200 << 10);
  for (int i = 0; i < 5; ++i) writer_->signal();
  EXPECT_TRUE(std::filesystem::is_empty(disk() / "ledger.git/objects/pack"));
  EXPECT_THAT(writer_->log->take_alarms(), IsEmpty());
}

}  // namespace
}  // namespace detent
