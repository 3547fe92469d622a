#include "ledger/audit/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "ledger/audit/audit_reader.h"
#include "tests/ledger/bench.h"

namespace detent {
namespace {

using test::git;
using test::kNoon;
using test::lines_of;
using test::Writer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = LedgerAlarm::Kind;

class AuditLogTest : public testing::Test {
 protected:
  std::filesystem::path repository() const { return folder_ / "ledger.git"; }
  AuditLog::Options options() const {
    AuditLog::Options options;
    options.repository = repository();
    return options;
  }
  std::vector<std::string> diary() const {
    return lines_of(git(repository(), {"log", "--format=%s", "refs/heads/detent/ledger"}));
  }
  std::string tip() const { return git(repository(), {"rev-parse", "refs/heads/detent/ledger"}); }
  void move(const std::string& to) const { git(repository(), {"update-ref", "refs/heads/detent/ledger", to}); }
  /// A commit by somebody else on top of the ledger, with `path` added.
  std::string foreign_commit(const std::string& path) const {
    const auto exit = test::shell(
        "set -e; cd " + repository().string() +
        "; export GIT_INDEX_FILE=$PWD/foreign.index GIT_AUTHOR_NAME=Eve GIT_AUTHOR_EMAIL=eve@example.org"
        " GIT_COMMITTER_NAME=Eve GIT_COMMITTER_EMAIL=eve@example.org; git read-tree detent/ledger;"
        " blob=$(echo by hand | git hash-object -w --stdin); git update-index --add --cacheinfo 100644,$blob," +
        path +
        "; commit=$(echo a hand edit | git commit-tree $(git write-tree) -p detent/ledger);"
        " git update-ref refs/heads/detent/ledger $commit; rm foreign.index; echo $commit");
    EXPECT_EQ(exit.code, 0) << exit.err;
    return exit.out.substr(0, 40);
  }
  void expect_whole(std::uint64_t signals) const {
    const auto reader = AuditReader::open(repository());
    ASSERT_TRUE(reader) << reader.error().what;
    const auto report = reader->verify({.first_seq = 1});
    ASSERT_TRUE(report) << report.error().what;
    EXPECT_THAT(report->problems, IsEmpty());
    EXPECT_EQ(report->signals, signals);
    const auto fsck = test::fsck(repository());
    EXPECT_EQ(fsck.code, 0) << fsck.out << fsck.err;
    EXPECT_EQ(fsck.err, "");
  }

  test::Folder folder_;
};

std::vector<Kind> kinds(const std::vector<LedgerAlarm>& alarms) {
  std::vector<Kind> kinds;
  for (const auto& alarm : alarms) kinds.push_back(alarm.kind);
  return kinds;
}

TEST_F(AuditLogTest, ReadsLikeADiary) {
  Writer writer{options()};
  writer.signal("incident.detected", "disk 95% on robo-server-1");
  writer.signal("incident.resolved", "disk 60%\nDetent-Seq: 9");
  EXPECT_THAT(diary(), ElementsAre("incident.resolved: disk 60% Detent-Seq: 9 -> discord.alerts",
                                   "incident.detected: disk 95% on robo-server-1 -> discord.alerts"));
  EXPECT_THAT(git(repository(), {"log", "-1", "--format=%(trailers)%an <%ae> %cn <%ce> %aI", "HEAD"}),
              AllOf(HasSubstr("Signal-Id: " + test::made(2).id), HasSubstr("Detent-Seq: 2\n"),
                    HasSubstr("Detent <detent@localhost> Detent <detent@localhost> 2026-11-22T12:00:03")));
  EXPECT_EQ(lines_of(git(repository(), {"show", "HEAD:signals/2026/11/22/12/2.jsonl"})).size(), 2u);
  expect_whole(2);
}

TEST_F(AuditLogTest, AFreshRepositoryHasHeadOnTheBranch) {
  Writer writer{options()};
  EXPECT_EQ(git(repository(), {"symbolic-ref", "HEAD"}), "refs/heads/detent/ledger");
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
}

TEST_F(AuditLogTest, ARestartGoesOnExactlyWhereItWas) {
  Writer writer{options()};
  for (int i = 0; i < 20; ++i) {
    writer.signal(i % 3 ? "cron.output" : "incident.detected");
    const auto before = writer.log->progress();
    writer.restart();
    const auto after = writer.log->progress();
    EXPECT_EQ(after.last_seq, before.last_seq);
    EXPECT_EQ(after.complete_to, before.complete_to);
    EXPECT_EQ(after.complete_to, writer.place);
    EXPECT_EQ(after.hash, before.hash);
    EXPECT_EQ(after.tip, tip());
  }
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
  expect_whole(20);
}

TEST_F(AuditLogTest, HeartbeatsPutOffAreReadAgainAfterARestartAndNothingIsWrittenTwice) {
  Writer writer{options()};
  writer.signal("incident.detected");
  writer.signal("heartbeat.ok");
  writer.signal("incident.detected");
  EXPECT_EQ(writer.log->progress().last_seq, 3u);
  EXPECT_EQ(writer.log->progress().complete_to, 2u);
  {
    const auto report = AuditReader::open(repository())->verify({.first_seq = 1});
    ASSERT_TRUE(report);
    EXPECT_THAT(report->problems, IsEmpty());
    EXPECT_EQ(report->waiting, 1u);
  }
  writer.restart();
  ASSERT_EQ(writer.log->progress().complete_to, 2u);
  // Read again, put off again, and lost again in a second crash.
  const auto read_again = [&] {
    writer.seq = 0, writer.place = 0, writer.time = Millis{0};
    writer.signal("incident.detected");
    writer.signal("heartbeat.ok");
    writer.signal("incident.detected");
  };
  read_again();
  writer.signal("incident.detected");
  EXPECT_EQ(writer.log->progress().last_seq, 4u);
  writer.restart();
  ASSERT_EQ(writer.log->progress().complete_to, 2u);
  read_again();
  writer.signal("incident.detected");
  writer.signal("incident.detected");
  ASSERT_TRUE(writer.log->flush(test::at(writer.time)));
  EXPECT_EQ(writer.log->progress().complete_to, writer.place);
  expect_whole(5);
}

TEST_F(AuditLogTest, HeartbeatsGoIntoOneCommitAnHour) {
  Writer writer{options()};
  for (int i = 0; i < 12; ++i) {
    writer.signal("heartbeat.ok");
    writer.time += Millis{298'500};
    writer.turns();
  }
  EXPECT_EQ(writer.log->figures().commits, 0u);
  writer.time += Millis{1'500};
  writer.turns();
  EXPECT_THAT(diary(), ElementsAre("12 signals: 12 heartbeat.ok -> discord.alerts"));
}

TEST_F(AuditLogTest, ReceiptsThatComeLaterGetACommitOfTheirOwnWhenNothingElseComes) {
  Writer writer{options()};
  const auto one = test::made(1);
  writer.log->add(one.signal(1, 1, kNoon), test::at(Millis{0}));
  writer.time = Millis{2'000};
  writer.turns();
  LedgerReceipt receipt{
      .place = 2, .seq = 1, .id = one.id, .channel = "discord.alerts", .link = "https://x/1", .time = kNoon};
  writer.log->add(receipt, test::at(Millis{9'000}));
  writer.time = Millis{69'000};
  writer.turns();
  EXPECT_THAT(diary(),
              ElementsAre("receipts: delivered " + one.id + " -> discord.alerts", HasSubstr("incident.detected: ")));
  EXPECT_EQ(git(repository(), {"log", "-1", "--format=%(trailers:key=Signal-Id,valueonly)", "HEAD"}).substr(0, 26),
            one.id);
  expect_whole(1);
}

TEST_F(AuditLogTest, StatusIsWrittenOnlyWhenItChanged) {
  Writer writer{options()};
  writer.log->status("# All well\n");
  writer.signal();
  writer.signal();
  writer.restart();
  writer.log->status("# All well\n");
  writer.signal();
  writer.log->status("# 1 waits\n");
  writer.signal();
  EXPECT_EQ(git(repository(), {"show", "HEAD:STATUS.md"}), "# 1 waits");
  EXPECT_EQ(lines_of(git(repository(), {"log", "--format=%h", "HEAD", "--", "STATUS.md"})).size(), 2u);
}

TEST_F(AuditLogTest, ABacklogIsCommittedInCountedBatches) {
  auto small = options();
  small.limits.batch_bytes = 100'000;
  Writer writer{small};
  for (std::uint64_t seq = 1; seq <= 1'000; ++seq) {
    writer.log->add(test::made(seq, seq % 3 ? "cron.output" : "heartbeat.ok").signal(seq, seq, kNoon),
                    test::at(Millis{0}));
    if (writer.log->full()) writer.turns();
  }
  ASSERT_TRUE(writer.log->flush(test::at(Millis{0})));
  const auto subjects = diary();
  EXPECT_LT(subjects.size(), 20u);
  for (const auto& subject : subjects)
    EXPECT_THAT(subject, testing::MatchesRegex("[0-9]+ signals: .*cron.output.* -> discord.alerts"));
  expect_whole(1'000);
}

TEST_F(AuditLogTest, AForeignCommitIsAnAlarmAndTheLogGoesOnAboveIt) {
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

TEST_F(AuditLogTest, AForeignCommitIsSeenAtStart) {
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

TEST_F(AuditLogTest, AForeignCommitThatTouchesTheLogStopsItUntilItIsSettled) {
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
  EXPECT_TRUE(alarms[0].over && alarms[1].over);
  expect_whole(2);
}

TEST_F(AuditLogTest, ABranchThatWentBackwardsIsAnAlarmAndIsBroughtForwardAgain) {
  Writer writer{options()};
  for (int i = 0; i < 5; ++i) writer.signal();
  const auto ours = tip();
  move(ours + "~3");
  writer.signal();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::went_backwards));
  EXPECT_EQ(git(repository(), {"rev-parse", "HEAD~1"}), ours);
  expect_whole(6);
}

TEST_F(AuditLogTest, ABranchThatWentBackwardsIsSeenAtStart) {
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

TEST_F(AuditLogTest, ADeletedBranchIsSeenAtStartAndRestored) {
  Writer writer{options()};
  for (int i = 0; i < 3; ++i) writer.signal();
  writer.close();
  git(repository(), {"update-ref", "-d", "refs/heads/detent/ledger"});
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::went_backwards));
  writer.signal();
  expect_whole(4);
}

TEST_F(AuditLogTest, ABranchThatLacksWhatTheJournalKnowsOfIsAnAlarm) {
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

TEST_F(AuditLogTest, ABranchWithAnotherHistoryIsNeverWrittenOver) {
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

TEST_F(AuditLogTest, ACrashBetweenBranchAndWitnessIsNoAlarm) {
  Writer writer{options()};
  for (int i = 0; i < 3; ++i) writer.signal();
  git(repository(), {"update-ref", "refs/detent/detent/ledger", "HEAD~1"});
  writer.restart();
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
  EXPECT_EQ(writer.log->progress().last_seq, 3u);
  EXPECT_EQ(git(repository(), {"rev-parse", "refs/detent/detent/ledger"}), tip());
}

TEST_F(AuditLogTest, ASecondWriterIsKeptOut) {
  Writer writer{options()};
  const auto second = AuditLog::open(options(), test::at(Millis{0}));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("another process writes this ledger"));
}

TEST_F(AuditLogTest, ARefThatMovesDuringACommitIsNeverOverwritten) {
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

TEST_F(AuditLogTest, ALockLeftByAKilledProcessIsRemovedAfterAWhile) {
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

TEST_F(AuditLogTest, LocksThatWereThereAtTheStartAreThoseOfAKilledProcess) {
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

TEST_F(AuditLogTest, AFolderThatIsNoRepositoryIsRefused) {
  std::filesystem::create_directory(repository());
  test::write_file(repository() / "notes.txt", "mine");
  const auto log = AuditLog::open(options(), test::at(Millis{0}));
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().what, HasSubstr("neither a bare git repository nor an empty folder"));
}

TEST_F(AuditLogTest, ACrashWhileTheRepositoryWasMadeLeavesNothingInTheWay) {
  std::filesystem::create_directories(folder_ / "ledger.git.making/objects");
  test::write_file(folder_ / "ledger.git.making/config", "half of");
  std::filesystem::create_directory(repository());
  Writer writer{options()};
  writer.signal();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "ledger.git.making"));
  expect_whole(1);
}

TEST_F(AuditLogTest, AnAlarmOfAnEarlierRunEnds) {
  Writer writer{options()};
  writer.signal();
  writer.close();
  writer.options.standing = {"went backwards", "diverged", "of another time"};
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::went_backwards));
  writer.signal();
  const auto alarms = writer.log->take_alarms();
  ASSERT_THAT(kinds(alarms), ElementsAre(Kind::diverged));
  EXPECT_TRUE(alarms[0].over);
}

TEST_F(AuditLogTest, CommitsByTheAuthorItIsToldAndKnowsItsCommitsWhenThatChanges) {
  auto options = this->options();
  options.author = {"Ann's broker", "ann@example.org"};
  {
    Writer writer{options};
    writer.signal();
  }
  EXPECT_EQ(git(repository(), {"log", "-1", "--format=%an <%ae> %cn <%ce>", "HEAD"}),
            "Ann's broker <ann@example.org> Detent <detent@localhost>");
  options.author = {"Ben", "ben@example.org"};
  Writer writer{options};
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
  EXPECT_EQ(writer.log->progress().last_seq, 1u);
}

TEST_F(AuditLogTest, RefusesAnAuthorThatGitDoesNotTake) {
  auto options = this->options();
  options.author = {"", "ann@example.org"};
  const auto log = AuditLog::open(options, test::at(kNoon));
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().what, HasSubstr("\" <ann@example.org>\" cannot be a commit's author"));
}

TEST_F(AuditLogTest, RefusesAnAuthorWhoseCommitsGitCouldNotRead) {
  for (const auto& author : {Repository::Author{"Ann\nBen", "ann@example.org"}, Repository::Author{"Ann", "a\n@b"},
                             Repository::Author{std::string("Ann\0Ben", 7), "ann@example.org"}}) {
    auto options = this->options();
    options.author = author;
    const auto log = AuditLog::open(options, test::at(kNoon));
    ASSERT_FALSE(log);
    EXPECT_THAT(log.error().what, HasSubstr("holds a control character"));
  }
}

TEST_F(AuditLogTest, GathersTheTypesItIsTold) {
  auto options = this->options();
  options.gather = {"health.check", "cron.output"};
  Writer writer{options};
  writer.signal("heartbeat.ok", "up");
  writer.signal("cron.output", "nightly");
  EXPECT_THAT(diary(), ElementsAre(HasSubstr("heartbeat.ok: up")));
}

TEST_F(AuditLogTest, ADamagedTipIsNotBuiltUpon) {
  Writer writer{options()};
  writer.signal();
  writer.signal();
  writer.close();
  // A commit that says it is ours and names a hash that its file does not end in.
  const auto exit = test::shell(
      "set -e; cd " + repository().string() +
      "; message=$(git log -1 --format=%B HEAD | sed 's/hash=..../hash=0000/'); "
      "commit=$(printf '%s\\n' \"$message\" | GIT_AUTHOR_NAME=D GIT_AUTHOR_EMAIL=detent@localhost GIT_COMMITTER_NAME=D "
      "GIT_COMMITTER_EMAIL=detent@localhost git commit-tree HEAD^{tree} -p HEAD); git update-ref HEAD $commit");
  ASSERT_EQ(exit.code, 0) << exit.err;
  writer.restart();
  EXPECT_THAT(kinds(writer.log->take_alarms()), ElementsAre(Kind::chain_damaged, Kind::foreign_commit));
  EXPECT_EQ(writer.log->progress().last_seq, 2u);
}

TEST_F(AuditLogTest, ManyCommitsLeaveASoundRepository) {
  Writer writer{options()};
  for (int i = 0; i < 150; ++i) writer.signal(i % 7 ? "cron.output" : "heartbeat.ok");
  ASSERT_TRUE(writer.log->flush(test::at(writer.time)));
  expect_whole(150);
}

}  // namespace
}  // namespace detent
