// The ledger begins its work whatever became of its branch, says so, loses nothing that can be read, and leaves every
// other branch of the repository as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/audit/audit_reader.h"
#include "tests/ledger/bench.h"

namespace detent {
namespace {

using test::git;
using test::Writer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = LedgerAlarm::Kind;

class DamageTest : public testing::Test {
 protected:
  DamageTest() {
    for (int i = 0; i < 3; ++i) writer_.signal();
    tip_ = git(repository(), {"rev-parse", "refs/heads/detent/ledger"});
    writer_.close();
    // The other branches of the repository: the task queue's, and one of the operator's own.
    for (const std::string& branch : others_) {
      const auto made =
          test::shell("cd " + repository().string() + " && blob=$(echo " + branch +
                      " | git hash-object -w --stdin) && tree=$(printf '100644 blob %s\tQUEUE.md\n' $blob | "
                      "git mktree) && git -c user.name=Other -c user.email=other@example.org commit-tree "
                      "-m queue $tree");
      EXPECT_EQ(made.code, 0) << made.err;
      git(repository(), {"update-ref", "refs/heads/" + branch, made.out.substr(0, 40)});
    }
    heads_of_others_ = read_others();
  }
  std::vector<std::string> read_others() const {
    std::vector<std::string> heads;
    for (const std::string& branch : others_) {
      heads.push_back(git(repository(), {"rev-parse", "refs/heads/" + branch}));
      EXPECT_EQ(git(repository(), {"cat-file", "-p", "refs/heads/" + branch + ":QUEUE.md"}), branch);
    }
    return heads;
  }
  std::filesystem::path repository() const { return folder_ / "ledger.git"; }
  AuditLog::Options options() const {
    AuditLog::Options options;
    options.repository = repository();
    return options;
  }
  void damage(const std::string& script) const {
    const auto exit = test::shell("set -e; cd " + repository().string() + "; " + script);
    ASSERT_EQ(exit.code, 0) << exit.err;
  }
  std::vector<std::string> set_aside() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "")) {
      if (entry.path().filename().string().starts_with("ledger.git.damaged-")) found.push_back(entry.path().string());
    }
    return found;
  }
  void expect_whole(std::uint64_t signals, std::uint64_t first = 1, bool all_objects = true) const {
    const auto reader = AuditReader::open(repository());
    ASSERT_TRUE(reader) << reader.error().what;
    const auto report = reader->verify({.first_seq = first});
    ASSERT_TRUE(report) << report.error().what;
    EXPECT_THAT(report->problems, IsEmpty());
    EXPECT_EQ(report->signals, signals);
    if (!all_objects) return;
    const auto fsck = test::fsck(repository());
    EXPECT_EQ(fsck.code, 0) << fsck.out << fsck.err;
  }
  /// It opens, tells of the damage once, and goes on above the last commit.
  void expect_to_go_on(const std::string& about) {
    writer_.restart();
    EXPECT_EQ(writer_.log->progress().tip, tip_);
    const auto alarms = writer_.log->take_alarms();
    ASSERT_THAT(alarms, SizeIs(1));
    EXPECT_EQ(alarms[0].kind, Kind::damaged);
    EXPECT_THAT(alarms[0].text, HasSubstr(about));
    writer_.signal();
    EXPECT_THAT(writer_.log->take_alarms(), IsEmpty());
    EXPECT_EQ(writer_.log->progress().last_seq, 4u);
    EXPECT_THAT(set_aside(), IsEmpty());
    EXPECT_EQ(read_others(), heads_of_others_);
    expect_whole(4);
  }
  /// It opens with nothing in it, tells of the damage, and takes what is added.
  void expect_to_begin_anew() {
    writer_.options.known_seq = 2;
    writer_.restart();
    EXPECT_EQ(writer_.log->progress().complete_to, 0u);
    EXPECT_THAT(set_aside(), IsEmpty());
    EXPECT_EQ(read_others(), heads_of_others_);
    const auto alarms = writer_.log->take_alarms();
    ASSERT_GE(alarms.size(), 2u);
    EXPECT_EQ(alarms[alarms.size() - 2].kind, Kind::damaged);
    EXPECT_THAT(alarms[alarms.size() - 2].text, HasSubstr("begins anew with what the journal still holds"));
    EXPECT_EQ(alarms.back().kind, Kind::went_backwards);
    writer_.seq = 2, writer_.place = 4;
    writer_.signal();
    writer_.signal();
    expect_whole(2, 3, false);
    writer_.restart();
    EXPECT_EQ(writer_.log->progress().last_seq, 4u);
    EXPECT_EQ(read_others(), heads_of_others_);
  }

  /// The same as `expect_to_go_on`, of a log that was open when the damage came.
  void expect_to_go_on_while_open(const std::string& script, const std::vector<std::string>& about) {
    writer_.restart();
    damage(script);
    writer_.signal();
    EXPECT_EQ(writer_.log->progress().last_seq, 4u);
    const auto alarms = writer_.log->take_alarms();
    ASSERT_THAT(alarms, SizeIs(about.size()));
    for (size_t i = 0; i < about.size(); ++i) {
      EXPECT_EQ(alarms[i].kind, Kind::damaged);
      EXPECT_THAT(alarms[i].text,
                  AllOf(HasSubstr(about[i]), HasSubstr("goes on from its last commit " + tip_.substr(0, 12))));
    }
    writer_.signal();
    EXPECT_THAT(writer_.log->take_alarms(), IsEmpty());
    for (const char* ref : {"refs/heads/detent/ledger", "refs/detent/detent/ledger"}) {
      EXPECT_EQ(git(repository(), {"rev-parse", ref}), writer_.log->progress().tip);
    }
    EXPECT_THAT(set_aside(), IsEmpty());
    expect_whole(5);
  }

  /// Removes the objects of the ledger's branch from the disk, those that match, and no others.
  void lose_objects(const std::string& matching = ".") const {
    damage("for id in $(git rev-list --objects refs/heads/detent/ledger | grep -- '" + matching +
           "' | cut -c1-40); do rm -f objects/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-); done");
  }

  test::Folder folder_;
  const std::vector<std::string> others_{"detent/tasks", "main"};
  std::vector<std::string> heads_of_others_;
  Writer writer_{options()};
  std::string tip_;
};

TEST_F(DamageTest, AnEmptyRefIsFoundAgainByItsWitness) {
  damage(": > refs/heads/detent/ledger");
  expect_to_go_on("refs/heads/detent/ledger");
}

TEST_F(DamageTest, ARefOfGarbageIsFoundAgainByItsWitness) {
  damage("head -c 41 /dev/zero > refs/heads/detent/ledger");
  expect_to_go_on("refs/heads/detent/ledger");
}

TEST_F(DamageTest, ARefToACommitThatIsNotThereIsFoundAgainByItsWitness) {
  damage("echo 1234567890123456789012345678901234567890 > refs/heads/detent/ledger");
  expect_to_go_on("123456789012345678901234567890");
}

TEST_F(DamageTest, AnEmptyWitnessIsMadeAnewFromTheBranch) {
  damage(": > refs/detent/detent/ledger");
  expect_to_go_on("refs/detent/detent/ledger");
  EXPECT_EQ(git(repository(), {"rev-parse", "refs/detent/detent/ledger"}), writer_.log->progress().tip);
}

TEST_F(DamageTest, ARefThatIsEmptiedWhileTheLogIsOpenIsMendedByIt) {
  expect_to_go_on_while_open(": > refs/heads/detent/ledger", {"refs/heads/detent/ledger"});
}

TEST_F(DamageTest, ARefOfGarbageIsMendedWhileTheLogIsOpen) {
  expect_to_go_on_while_open("head -c 41 /dev/zero > refs/heads/detent/ledger", {"refs/heads/detent/ledger"});
}

TEST_F(DamageTest, ARefToACommitThatIsNotThereIsMendedWhileTheLogIsOpen) {
  expect_to_go_on_while_open("echo 1234567890123456789012345678901234567890 > refs/heads/detent/ledger",
                             {"123456789012345678901234567890"});
}

TEST_F(DamageTest, AWitnessThatIsEmptiedIsMendedWhileTheLogIsOpen) {
  expect_to_go_on_while_open(": > refs/detent/detent/ledger", {"refs/detent/detent/ledger"});
}

TEST_F(DamageTest, BothRefsAreMendedWhileTheLogIsOpen) {
  expect_to_go_on_while_open(": > refs/heads/detent/ledger; : > refs/detent/detent/ledger",
                             {"refs/heads/detent/ledger", "refs/detent/detent/ledger"});
}

TEST_F(DamageTest, ALogThatIsOpenDoesNotBeginAnew) {
  writer_.restart();
  damage(": > refs/heads/detent/ledger; mv objects objects.away; mkdir objects");
  writer_.signal();
  EXPECT_EQ(writer_.log->progress().last_seq, 3u);
  auto alarms = writer_.log->take_alarms();
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_EQ(alarms[0].kind, Kind::write_failed);
  damage("rm -rf objects; mv objects.away objects");
  writer_.time += Millis{1'500};
  writer_.turns();
  EXPECT_EQ(writer_.log->progress().last_seq, 4u);
  alarms = writer_.log->take_alarms();
  ASSERT_THAT(alarms, SizeIs(2));
  EXPECT_EQ(alarms[0].kind, Kind::damaged);
  EXPECT_TRUE(alarms[1].resolved);
  EXPECT_THAT(set_aside(), IsEmpty());
  expect_whole(4);
}

TEST_F(DamageTest, WithBothRefsBrokenTheLastCommitIsFoundAmongTheObjects) {
  damage(": > refs/heads/detent/ledger; : > refs/detent/detent/ledger");
  expect_to_go_on("refs/heads/detent/ledger");
}

TEST_F(DamageTest, WithBothRefsBrokenAndAllPackedTheLastCommitIsFound) {
  damage("git repack -q -a -d; : > refs/heads/detent/ledger; : > refs/detent/detent/ledger");
  expect_to_go_on("refs/heads/detent/ledger");
}

TEST_F(DamageTest, ACommitThatKnowsMoreThanTheJournalIsNotTakenForTheLast) {
  writer_.options.journal_end = 2;  // as in the first commit
  damage(": > refs/heads/detent/ledger; : > refs/detent/detent/ledger");
  writer_.restart();
  EXPECT_EQ(writer_.log->progress().last_seq, 1u);
}

TEST_F(DamageTest, WithItsObjectsGoneTheBranchBeginsAnewAndOthersStay) {
  lose_objects();
  expect_to_begin_anew();
}

TEST_F(DamageTest, WithTheFilesOfAllCommitsGoneTheBranchIsSetAsideWhereItCanBeRead) {
  lose_objects("jsonl");
  expect_to_begin_anew();
  EXPECT_EQ(git(repository(), {"for-each-ref", "--format=%(objectname)", "refs/detent/damaged"}), tip_);
}

TEST_F(DamageTest, ADamagedFileOfTheLastCommitIsTakenFromTheRemote) {
  const std::string remote = (folder_ / "remote.git").string();
  git(folder_ / "", {"init", "-q", "--bare", remote});
  git(repository(), {"push", "-q", remote, "refs/heads/detent/ledger"});
  writer_.options.remote = remote;
  damage(
      "id=$(git rev-parse refs/heads/detent/ledger:signals/2026/11/22/12/3.jsonl); "
      "file=objects/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-); chmod u+w $file; truncate -s 20 $file");
  expect_to_go_on("taken from the remote");
}

TEST_F(DamageTest, WhatTheRemoteHoldsIsTakenFromThereWhereTheObjectsAreGone) {
  const std::string remote = (folder_ / "remote.git").string();
  git(folder_ / "", {"init", "-q", "--bare", remote});
  git(repository(), {"push", "-q", remote, "refs/heads/detent/ledger"});
  writer_.options.remote = remote;
  lose_objects();
  damage(": > refs/heads/detent/ledger");
  expect_to_go_on("refs/heads/detent/ledger");
}

TEST_F(DamageTest, WithItsFoldersGoneTheRepositoryIsMadeAgainInItsPlace) {
  damage("rm -rf objects refs HEAD");
  writer_.restart();
  writer_.seq = 2, writer_.place = 4;
  writer_.signal();
  EXPECT_EQ(writer_.log->progress().last_seq, 3u);
  EXPECT_THAT(set_aside(), IsEmpty());
}

TEST_F(DamageTest, APackedRefThatCannotBeReadCostsNoOtherRef) {
  damage("git pack-refs --all; sed -i 's#^.*refs/heads/detent/ledger$#garbage#' packed-refs");
  writer_.restart();
  EXPECT_EQ(writer_.log->progress().tip, tip_);
  EXPECT_EQ(read_others(), heads_of_others_);
  const auto alarms = writer_.log->take_alarms();
  ASSERT_THAT(alarms, SizeIs(2));
  EXPECT_THAT(alarms[0].text, HasSubstr("packed-refs.damaged-20261122T1200"));
  EXPECT_EQ(alarms[1].kind, Kind::went_backwards);
  writer_.signal();
  expect_whole(4);
}

TEST_F(DamageTest, ADamagedStatusPageIsWrittenAnew) {
  writer_.restart();
  writer_.log->status("# all is well\n");
  writer_.signal();
  writer_.close();
  lose_objects("STATUS");
  writer_.restart();
  writer_.log->status("# all is well again\n");
  writer_.signal();
  EXPECT_EQ(writer_.log->progress().last_seq, 5u);
  EXPECT_EQ(git(repository(), {"cat-file", "-p", "refs/heads/detent/ledger:STATUS.md"}), "# all is well again");
}

TEST_F(DamageTest, AnEmptyHeadIsWrittenAnew) {
  damage(": > HEAD");
  expect_to_go_on("HEAD");
  EXPECT_EQ(git(repository(), {"symbolic-ref", "HEAD"}), "refs/heads/detent/ledger");
}

TEST_F(DamageTest, AHeadOfGarbageIsWrittenAnew) {
  damage("echo '[[[' > HEAD");
  expect_to_go_on("HEAD");
}

TEST_F(DamageTest, AConfigOfGarbageIsWrittenAnewAndKeptBeside) {
  damage("echo '[[[' > config");
  expect_to_go_on("config.damaged-20261122T1200");
}

TEST_F(DamageTest, ARepositoryThatIsNotOursIsNotTouched) {
  damage("rm detent-ledger.lock; : > refs/heads/detent/ledger; : > refs/detent/detent/ledger");
  const auto log = AuditLog::open(options(), test::at(Millis{0}));
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().what, AllOf(HasSubstr("cannot read refs/"), HasSubstr(repository().string())));
  EXPECT_THAT(set_aside(), IsEmpty());
}

}  // namespace
}  // namespace detent
