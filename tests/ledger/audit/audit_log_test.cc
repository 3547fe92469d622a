#include "ledger/audit/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ledger/audit/audit_log_fixture.h"

namespace detent {
namespace {

using test::at;
using test::git;
using test::kinds;
using test::kNoon;
using test::lines_of;
using test::made;
using test::Writer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = LedgerAlarm::Kind;
using AuditLogTest = test::AuditLogTest;

TEST_F(AuditLogTest, ASubjectNamesTypeTitleAndChannels) {
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

TEST_F(AuditLogTest, ShowsReceiptsThatNameTheirSignalByNumberAndADeadLetterBroughtBack) {
  Writer writer{options()};
  const auto one = made(1);
  const auto receipt = [&](std::uint64_t place, std::uint64_t seq, ReceiptState state, Millis since) {
    LedgerReceipt out;
    out.place = place;
    out.seq = seq;
    out.channel = one.channel;
    out.state = state;
    out.time = kNoon + since;
    writer.log->add(out, at(since));
    EXPECT_TRUE(writer.log->flush(at(since)));
  };
  writer.log->add(one.signal(1, 1, kNoon), at(Millis{0}));
  ASSERT_TRUE(writer.log->flush(at(Millis{0})));
  writer.restart();  // which forgets the ids
  receipt(2, 1, ReceiptState::dead, Millis{1'000});
  receipt(3, 1, ReceiptState::dead, Millis{1'000});  // as a restart's copy of the journal's tail has it
  writer.log->add(one.signal(4, 2, kNoon), at(Millis{2'000}));
  receipt(5, 2, ReceiptState::delivered, std::chrono::hours{-1});  // and the clock went back

  const auto shown = AuditReader::open(repository())->show(one.id);
  ASSERT_TRUE(shown);
  std::vector<std::string> told;
  for (const auto& place : *shown) told.push_back(place.text.substr(0, place.text.find(',', place.text.find("seq"))));
  EXPECT_THAT(told, ElementsAre(R"({"seq":1)", R"({"receipt":"dead","seq":1)", R"({"seq":2)",
                                R"({"receipt":"delivered","seq":2)"));
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
  EXPECT_TRUE(alarms[0].resolved);
}

TEST_F(AuditLogTest, CommitsByTheConfiguredAuthorAndKnowsItsCommitsWhenThatChanges) {
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

TEST_F(AuditLogTest, GathersTheConfiguredTypes) {
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
