#include "ledger/audit/audit_branch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ledger/audit/audit_log_fixture.h"

namespace detent {
namespace {

using test::git;
using test::kinds;
using test::Writer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = LedgerAlarm::Kind;
using AuditBranchTest = test::AuditLogTest;

TEST_F(AuditBranchTest, AForeignCommitIsAnAlarmAndTheLogGoesOnAboveIt) {
  Writer writer{options()};
  writer.signal();
  const auto foreign = foreign_commit("NOTES.md");
  writer.signal();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::foreign_commit));
  writer.signal();
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
  EXPECT_EQ(git(repository(), {"rev-parse", "HEAD~2"}), foreign);
  EXPECT_EQ(git(repository(), {"show", "HEAD:NOTES.md"}), "by hand");
  expect_whole(3);
  const auto report = AuditReader::open(repository())->verify({});
  EXPECT_THAT(report->foreign, ElementsAre(HasSubstr("eve@example.org: a hand edit")));
}

TEST_F(AuditBranchTest, AForeignCommitIsSeenAtStart) {
  Writer writer{options()};
  writer.signal();
  writer.close();
  foreign_commit("NOTES.md");
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::foreign_commit));
  EXPECT_EQ(writer.log->progress().last_seq, 1u);
  writer.signal();
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
  expect_whole(2);
}

TEST_F(AuditBranchTest, AForeignCommitThatTouchesTheLogStopsItUntilItIsSettled) {
  Writer writer{options()};
  writer.signal();
  const auto ours = tip(), theirs = foreign_commit("signals/2026/11/22/12/1.jsonl");
  writer.signal();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::chain_damaged, Kind::write_failed));
  EXPECT_EQ(tip(), theirs);
  EXPECT_EQ(writer.log->figures().waiting, 2u);
  move(ours);
  writer.time += Millis{2'000};
  writer.turns();
  const auto alarms = writer.log->take_alarms();
  ASSERT_THAT(kinds(alarms), ElementsAre(Kind::write_failed, Kind::chain_damaged));
  EXPECT_TRUE(alarms[0].resolved && alarms[1].resolved);
  expect_whole(2);
}

TEST_F(AuditBranchTest, ABranchThatWentBackwardsIsAnAlarmAndIsBroughtForwardAgain) {
  Writer writer{options()};
  for (int i = 0; i < 5; ++i) writer.signal();
  const auto ours = tip();
  move(ours + "~3");
  writer.signal();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::went_backwards));
  EXPECT_EQ(git(repository(), {"rev-parse", "HEAD~1"}), ours);
  expect_whole(6);
}

TEST_F(AuditBranchTest, ABranchThatWentBackwardsIsSeenAtStart) {
  Writer writer{options()};
  for (int i = 0; i < 5; ++i) writer.signal();
  writer.close();
  move("HEAD~3");
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::went_backwards));
  EXPECT_EQ(writer.log->progress().last_seq, 5u);
  writer.signal();
  expect_whole(6);
}

TEST_F(AuditBranchTest, ADeletedBranchIsSeenAtStartAndRestored) {
  Writer writer{options()};
  for (int i = 0; i < 3; ++i) writer.signal();
  writer.close();
  git(repository(), {"update-ref", "-d", "refs/heads/detent/ledger"});
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::went_backwards));
  writer.signal();
  expect_whole(4);
}

TEST_F(AuditBranchTest, ABranchThatEndsBeforeWhatTheJournalDroppedIsAnAlarm) {
  Writer writer{options()};
  for (int i = 0; i < 5; ++i) writer.signal();
  writer.close();
  move("HEAD~3");
  git(repository(), {"update-ref", "-d", "refs/detent/detent/ledger"});
  writer.options.known_seq = 5;
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::went_backwards));
  EXPECT_EQ(writer.log->progress().last_seq, 2u);
}

TEST_F(AuditBranchTest, ABranchWithAnotherHistoryIsNeverWrittenOver) {
  Writer writer{options()};
  writer.signal();
  const auto ours = tip();
  const auto other = git(repository(), {"commit-tree", "HEAD^{tree}", "-m", "another history"});
  move(other);
  writer.signal();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::diverged, Kind::write_failed));
  EXPECT_EQ(tip(), other);
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::diverged));
  EXPECT_EQ(writer.log->progress().tip, ours);
  // What the alarm says to do: move the other history out of the way.
  git(repository(), {"branch", "-m", "detent/ledger", "saved"});
  writer.seq = 1, writer.place = 2;
  writer.signal();
  EXPECT_EQ(git(repository(), {"rev-parse", "refs/heads/detent/ledger~1"}), ours);
  EXPECT_EQ(git(repository(), {"rev-parse", "saved"}), other);
  expect_whole(2);
}

TEST_F(AuditBranchTest, ACrashBetweenBranchAndWitnessIsNoAlarm) {
  Writer writer{options()};
  for (int i = 0; i < 3; ++i) writer.signal();
  git(repository(), {"update-ref", "refs/detent/detent/ledger", "HEAD~1"});
  writer.restart();
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
  EXPECT_EQ(writer.log->progress().last_seq, 3u);
  EXPECT_EQ(git(repository(), {"rev-parse", "refs/detent/detent/ledger"}), tip());
}

TEST_F(AuditBranchTest, ASecondWriterIsKeptOut) {
  Writer writer{options()};
  const auto second = AuditLog::open(options(), test::at(Millis{0}));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("another process writes this ledger"));
}

TEST_F(AuditBranchTest, ARefThatMovesDuringACommitIsNeverOverwritten) {
  Writer writer{options()};
  writer.signal();
  // Somebody commits by hand, again and again, in a process of their own, while the log commits.
  Child::Options other;
  other.command = {
      "sh", "-c",
      "export GIT_AUTHOR_NAME=Eve GIT_AUTHOR_EMAIL=e@x GIT_COMMITTER_NAME=Eve GIT_COMMITTER_EMAIL=e@x; i=0; "
      "while [ $i -lt 25 ]; do old=$(git rev-parse refs/heads/detent/ledger); "
      "new=$(git commit-tree $old^{tree} -p $old -m hand) && "
      "git update-ref refs/heads/detent/ledger $new $old 2>/dev/null && i=$((i+1)); done"};
  other.environment = {{"GIT_DIR", repository().string()}};
  auto child = Child::start(other, system_now().mono);
  ASSERT_TRUE(child) << child.error().what;
  std::optional<Child::Exit> exit;
  while (!(exit = child->poll(system_now().mono))) {
    if (writer.seq < 400) writer.signal();
    writer.time += Millis{1'000};
    writer.turns();
  }
  EXPECT_EQ(exit->code, 0) << exit->err;
  writer.time += Millis{5'000};
  writer.turns();
  ASSERT_TRUE(writer.log->flush(test::at(writer.time)));
  const auto subjects = diary();
  EXPECT_EQ(std::count(subjects.begin(), subjects.end(), "hand"), 25);
  writer.close();  // and with it a repack that may be under way
  expect_whole(writer.seq);
}

TEST_F(AuditBranchTest, ALockLeftByAKilledProcessIsRemovedAfterAWhile) {
  Writer writer{options()};
  writer.signal();
  const auto lock = repository() / "refs/heads/detent/ledger.lock";
  test::write_file(lock, "");
  writer.signal();
  EXPECT_EQ(writer.log->progress().last_seq, 1u);
  writer.time += Millis{1'500};
  writer.turns();
  EXPECT_TRUE(std::filesystem::exists(lock));
  for (int i = 0; i < 5; ++i) {
    writer.time += Millis{1'500};
    writer.turns();
  }
  EXPECT_FALSE(std::filesystem::exists(lock));
  EXPECT_EQ(writer.log->progress().last_seq, 2u);
  expect_whole(2);
}

TEST_F(AuditBranchTest, LocksThatWereThereAtTheStartAreThoseOfAKilledProcess) {
  const auto branch = repository() / "refs/heads/detent/ledger.lock";
  const auto witness = repository() / "refs/detent/detent/ledger.lock";
  uint64_t place = 0;
  {
    Writer writer{options()};
    writer.signal();
    place = writer.place;
    writer.close();
  }
  std::filesystem::create_directories(witness.parent_path());
  test::write_file(branch, "");
  test::write_file(witness, "");
  Writer writer{options()};
  EXPECT_FALSE(std::filesystem::exists(witness)) << "it is nobody's but ours";
  writer.seq = 1, writer.place = place;
  writer.signal();
  writer.time += Millis{1'500};
  writer.turns();
  EXPECT_FALSE(std::filesystem::exists(branch));
  EXPECT_EQ(writer.log->progress().last_seq, 2u);
  expect_whole(2);
}

}  // namespace
}  // namespace detent
