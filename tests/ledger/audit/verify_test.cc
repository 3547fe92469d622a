#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <sstream>

#include "ledger/audit/audit_reader.h"
#include "tests/ledger/bench.h"

namespace detent {
namespace {

using test::git;
using test::Writer;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Remote = VerifyReport::Remote;

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    options_.repository = repository();
    Writer writer{options_};
    for (int i = 0; i < 6; ++i) writer.signal();
  }
  std::filesystem::path repository() const { return folder_ / "ledger.git"; }

  VerifyReport verify(const VerifyOptions& options = {.first_seq = 1}) const {
    auto reader = AuditReader::open(repository());
    EXPECT_TRUE(reader);
    auto report = reader->verify(options);
    EXPECT_TRUE(report) << report.error().what;
    return *report;
  }

  /// Writes the history anew from its third commit on, as one would who knows git but not the chain's past: `edit` is a
  /// shell command that changes the files under $WORK, done in that commit and carried on to the later ones.
  void rewrite(const std::string& edit) const {
    const auto exit = test::shell(
        "set -e; cd " + repository().string() + "; export WORK=" + (folder_ / "work").string() +
        " GIT_INDEX_FILE=$PWD/edit.index GIT_AUTHOR_NAME=Detent GIT_AUTHOR_EMAIL=detent@localhost "
        "GIT_COMMITTER_NAME=Detent"
        " GIT_COMMITTER_EMAIL=detent@localhost; mkdir $WORK; at=$(git rev-list --reverse HEAD | sed -n 2p);"
        " for commit in $(git rev-list --reverse HEAD | tail -n +3); do rm -rf $WORK/*; git read-tree $commit;"
        " git --work-tree=$WORK checkout-index -a -f; (cd $WORK; " +
        edit +
        "); git --work-tree=$WORK add -A $WORK >/dev/null;"
        " at=$(git log -1 --format=%B $commit | sed -e '${/^$/d}' | git commit-tree $(git write-tree) -p $at); done;"
        " git update-ref refs/heads/detent/ledger $at; rm $GIT_INDEX_FILE");
    ASSERT_EQ(exit.code, 0) << exit.err;
  }

  test::Folder folder_;
  AuditLog::Options options_;
};

TEST_F(VerifyTest, AnUntouchedLedgerIsWhole) {
  const auto report = verify();
  EXPECT_TRUE(report.whole());
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(report.commits, 6u);
  EXPECT_EQ(report.signals, 6u);
  EXPECT_EQ(report.receipts, 6u);
  EXPECT_EQ(report.first_seq, 1u);
  EXPECT_EQ(report.last_seq, 6u);
  EXPECT_EQ(report.hash.size(), 64u);
}

TEST_F(VerifyTest, ARewrittenHistoryWithNothingChangedIsStillWhole) {
  rewrite("true");
  EXPECT_THAT(verify().problems, IsEmpty());
}

TEST_F(VerifyTest, AChangedWordInALineIsFoundAndNamed) {
  rewrite("f=$(find . -name 4.jsonl); [ -z \"$f\" ] || sed -i '1s/two lines/2 lines/' $f");
  const auto report = verify();
  EXPECT_THAT(report.problems, ElementsAre(AllOf(HasSubstr("signals/2026/11/22/12/4.jsonl"),
                                                 HasSubstr("line 1 (seq 4)"), HasSubstr("the chain breaks"))));
  EXPECT_FALSE(report.whole());
}

TEST_F(VerifyTest, ARemovedReceiptIsFound) {
  rewrite("f=$(find . -name 5.jsonl); [ -z \"$f\" ] || sed -i 2d $f");
  EXPECT_THAT(verify().problems, Contains(AllOf(HasSubstr("5.jsonl"), HasSubstr("does not end in the hash"))));
}

TEST_F(VerifyTest, ARemovedFileIsFound) {
  rewrite("find . -name 4.jsonl -delete");
  const auto problems = verify().problems;
  EXPECT_THAT(problems, Contains(AllOf(HasSubstr("4.jsonl"), HasSubstr("does not hold the file"))));
  EXPECT_THAT(problems, Contains(HasSubstr("signal 4 is missing")));
}

TEST_F(VerifyTest, ACommitLeftOutIsFoundAsABrokenChainAndAGap) {
  const auto exit =
      test::shell("set -e; cd " + repository().string() +
                  "; export GIT_AUTHOR_NAME=Detent GIT_AUTHOR_EMAIL=detent@localhost "
                  "GIT_COMMITTER_NAME=Detent GIT_COMMITTER_EMAIL=detent@localhost; at=$(git rev-parse HEAD~3); "
                  "for c in HEAD~1 HEAD; do at=$(git log -1 --format=%B $c | sed -e '${/^$/d}' | git commit-tree "
                  "$c^{tree} -p $at); done; "
                  "git update-ref HEAD $at");
  ASSERT_EQ(exit.code, 0) << exit.err;
  const auto problems = verify().problems;
  EXPECT_THAT(problems, Contains(HasSubstr("goes on from another hash")));
  EXPECT_THAT(problems, Contains(HasSubstr("signal 4 is missing")));
  EXPECT_THAT(problems, Contains(HasSubstr("1 files under signals/ belong to no commit")));
}

TEST_F(VerifyTest, AMissingBeginningIsFound) {
  const auto exit = test::shell(
      "set -e; cd " + repository().string() +
      "; export GIT_AUTHOR_NAME=Detent GIT_AUTHOR_EMAIL=detent@localhost "
      "GIT_COMMITTER_NAME=Detent GIT_COMMITTER_EMAIL=detent@localhost; "
      "at=$(git log -1 --format=%B HEAD | sed -e '${/^$/d}' | git commit-tree HEAD^{tree}); git update-ref HEAD $at");
  ASSERT_EQ(exit.code, 0) << exit.err;
  const auto problems = verify().problems;
  EXPECT_THAT(problems, Contains(HasSubstr("the beginning is missing")));
  EXPECT_THAT(problems, Contains(HasSubstr("signals 1 to 5 are missing (5)")));
}

TEST_F(VerifyTest, ADamagedObjectOfAnyKindIsFound) {
  for (const std::string what :
       {"HEAD~2:signals/2026/11/22/12/4.jsonl", "HEAD~2", "HEAD:signals/2026", "HEAD~1^{tree}"}) {
    const auto id = git(repository(), {"rev-parse", what});
    const auto path = repository() / ("objects/" + id.substr(0, 2) + "/" + id.substr(2));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    std::string whole;
    {
      std::ostringstream all;
      all << std::ifstream{path, std::ios::binary}.rdbuf();
      whole = all.str();
    }
    for (std::size_t length = 0; length < whole.size(); length += 1 + whole.size() / 7) {
      test::write_file(path, whole.substr(0, length));
      const auto report = AuditReader::open(repository())->verify({.first_seq = 1});
      EXPECT_TRUE(!report || !report->whole()) << what << " cut to " << length;
    }
    for (std::size_t i = 0; i < whole.size(); i += 1 + whole.size() / 7) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ 4);
      test::write_file(path, flipped);
      const auto report = AuditReader::open(repository())->verify({.first_seq = 1});
      EXPECT_TRUE(!report || !report->whole()) << what << " flipped at " << i;
    }
    test::write_file(path, whole);
  }
  EXPECT_TRUE(verify().whole());
}

TEST_F(VerifyTest, TheLedgerMustEqualWhatTheJournalStillHolds) {
  VerifyOptions options{.first_seq = 1};
  options.journal = [](std::uint64_t seq) -> std::optional<Hash> {
    if (seq < 3) return std::nullopt;
    return hash_of(seq == 5 ? "something else" : test::made(seq).raw);
  };
  const auto report = verify(options);
  EXPECT_EQ(report.compared, 4u);
  EXPECT_THAT(report.problems, ElementsAre(AllOf(HasSubstr("(seq 5)"), HasSubstr("the journal holds other bytes"))));
}

TEST_F(VerifyTest, WhatTheLedgerShouldHoldAndDoesNotIsAGap) {
  EXPECT_THAT(verify({.first_seq = 1, .last_seq = 8}).problems, ElementsAre("signals 7 to 8 are missing (2)"));
  EXPECT_THAT(verify({.first_seq = 1, .last_seq = 6}).problems, IsEmpty());
}

TEST_F(VerifyTest, SaysHowTheRemoteStands) {
  const auto remote = folder_ / "remote.git";
  const auto url = "file://" + remote.string();
  git(folder_ / ".", {"init", "-q", "--bare", remote.string()});
  EXPECT_EQ(verify({.remote = url}).remote, Remote::missing);
  EXPECT_FALSE(verify({.remote = url}).whole());
  git(repository(), {"push", "-q", url, "HEAD~2:refs/heads/detent/ledger"});
  EXPECT_EQ(verify({.remote = url}).remote, Remote::behind);
  EXPECT_EQ(verify({.remote = url}).remote_behind, 2u);
  git(repository(), {"push", "-q", url, "detent/ledger"});
  EXPECT_EQ(verify({.remote = url}).remote, Remote::equal);
  const auto other = git(remote, {"commit-tree", "detent/ledger^{tree}", "-p", "detent/ledger", "-m", "theirs"});
  git(remote, {"update-ref", "refs/heads/detent/ledger", other});
  EXPECT_EQ(verify({.remote = url}).remote, Remote::diverged);
  EXPECT_EQ(verify({.remote = "file:///nowhere/at/all"}).remote, Remote::unreachable);
}

TEST_F(VerifyTest, ShowsASignalWithItsReceiptsByNumberAndById) {
  const auto reader = AuditReader::open(repository());
  ASSERT_TRUE(reader);
  for (const auto& shown : {reader->show(4), reader->show(test::made(4).id)}) {
    ASSERT_TRUE(shown);
    ASSERT_EQ(shown->size(), 2u);
    EXPECT_EQ(shown->at(0).file, "signals/2026/11/22/12/4.jsonl");
    EXPECT_EQ(shown->at(0).commit, git(repository(), {"rev-parse", "HEAD~2"}));
    EXPECT_EQ(shown->at(0).line, 1u);
    EXPECT_EQ(shown->at(0).raw, test::made(4).raw);
    EXPECT_TRUE(shown->at(1).receipt);
    EXPECT_EQ(shown->at(1).line, 2u);
  }
  EXPECT_THAT(*reader->show(99), IsEmpty());
  EXPECT_THAT(*reader->show("01JDZZZZZZZZZZZZZZZZZZZZZZ"), IsEmpty());
}

TEST_F(VerifyTest, CommitsAreReadNewestFirst) {
  std::vector<std::uint64_t> seqs;
  const auto reader = AuditReader::open(repository());
  ASSERT_TRUE(reader->commits([&](const LedgerCommit& commit) {
    EXPECT_FALSE(commit.foreign);
    EXPECT_EQ(commit.signal_ids.size(), 1u);
    seqs.push_back(commit.first_seq);
    return seqs.size() < 4;
  }));
  EXPECT_THAT(seqs, ElementsAre(6, 5, 4, 3));
}

TEST_F(VerifyTest, SeesThatTheBranchWasMovedBack) {
  ASSERT_TRUE(verify().whole());
  ASSERT_EQ(test::shell("git --git-dir=" + repository().string() +
                        " update-ref refs/heads/detent/ledger refs/heads/detent/ledger~2")
                .code,
            0);
  const auto report = verify();
  EXPECT_FALSE(report.whole());
  EXPECT_THAT(report.problems,
              ElementsAre(HasSubstr("the branch was moved back: it holds 8 lines, and the broker's last commit")));
}

}  // namespace
}  // namespace detent
