// The writer is killed, with or without the git it has started, again and again; git itself says what is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "ledger/audit/audit_reader.h"
#include "tests/ledger/bench.h"
#include "tests/support/eventually.h"

namespace detent {
namespace {

/// Writes from where the ledger ends for as long as it lives, and a byte to `done` after each signal.
[[noreturn]] void write_until_killed(const AuditLog::Options& options, int done) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  test::Writer writer{options};
  if (!writer.log) _exit(1);
  writer.seq = writer.log->progress().last_seq;
  writer.place = writer.log->progress().complete_to;
  do {
    writer.signal();
    if (!writer.log->flush(test::at(writer.time))) _exit(1);  // under load it would wait for a batch
  } while (write(done, ".", 1) == 1);
  _exit(1);
}

/// What a killed process leaves behind becomes a child of ours.
std::vector<pid_t> left_behind() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  std::vector<pid_t> pids;
  std::ifstream in("/proc/thread-self/children");
  for (pid_t pid = 0; in >> pid;) pids.push_back(pid);
  return pids;
}

TEST(LedgerKills, LeaveASoundRepositoryWithAllThatWasCommitted) {
  test::Folder folder;
  const AuditLog::Options options{.repository = folder / "ledger.git", .max_loose = 200, .max_packs = 3};
  const std::string in_objects = "cd " + (options.repository / "objects").string() + "; ";
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  std::mt19937 random(4711);
  std::uint64_t committed = 0, repacks = 0;
  for (int round = 0; round < 24 && !testing::Test::HasFailure(); ++round) {
    int done[2];
    ASSERT_EQ(pipe(done), 0);
    const pid_t writer = fork();
    if (writer == 0) {
      close(done[0]);
      write_until_killed(options, done[1]);
    }
    close(done[1]);
    char byte = 0;
    for (auto signals = 1 + random() % 60; signals > 0 && read(done[0], &byte, 1) == 1; --signals) ++committed;
    kill(writer, SIGKILL);
    waitpid(writer, nullptr, 0);
    while (read(done[0], &byte, 1) == 1) ++committed;
    close(done[0]);

    for (const pid_t git : left_behind()) {
      ++repacks;
      if (round % 2) kill(-git, SIGKILL);
    }
    EXPECT_TRUE(eventually([] { return left_behind().empty(); }));
    const auto fsck = test::fsck(options.repository);
    EXPECT_EQ(fsck.code, 0) << "round " << round << ": " << fsck.out << fsck.err;
    EXPECT_EQ(fsck.err, "");
    // As if an hour had passed: the next packer may clear away what this one left.
    test::shell(in_objects + "find . -name '*tmp*' -exec touch -d '2 hours ago' {} +");
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  EXPECT_GT(repacks, 0u) << "no repack was under way at any kill";

  const auto report = AuditReader::open(options.repository)->verify({.first_seq = 1});
  ASSERT_TRUE(report) << report.error().what;
  EXPECT_THAT(report->problems, testing::IsEmpty());
  EXPECT_GE(report->signals, committed);
}

}  // namespace
}  // namespace detent
