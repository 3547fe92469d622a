// A ledger in a folder of its own, and what its tests ask git about it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ledger/audit/audit_log.h"
#include "ledger/audit/audit_reader.h"
#include "tests/ledger/bench.h"

namespace detent::test {

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
    const auto exit =
        shell("set -e; cd " + repository().string() +
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
    EXPECT_THAT(report->problems, testing::IsEmpty());
    EXPECT_EQ(report->signals, signals);
    const auto fsck = test::fsck(repository());
    EXPECT_EQ(fsck.code, 0) << fsck.out << fsck.err;
    EXPECT_EQ(fsck.err, "");
  }

  Folder folder_;
};

inline std::vector<LedgerAlarm::Kind> kinds(const std::vector<LedgerAlarm>& alarms) {
  std::vector<LedgerAlarm::Kind> kinds;
  for (const auto& alarm : alarms) kinds.push_back(alarm.kind);
  return kinds;
}

}  // namespace detent::test
