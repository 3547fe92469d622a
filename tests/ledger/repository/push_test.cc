#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "ledger/audit/audit_reader.h"
#include "ledger/repository/git_command.h"
#include "ledger/repository/packer.h"
#include "ledger/repository/pusher.h"
#include "tests/ledger/bench.h"
#include "tests/support/eventually.h"

namespace detent {
namespace {

using test::git;
using test::Writer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = LedgerAlarm::Kind;

class PushTest : public testing::Test {
 protected:
  PushTest() {
    git(folder_ / ".", {"init", "-q", "--bare", remote().string()});
    Writer writer{{.repository = repository()}};
    writer.signal();
  }
  std::filesystem::path repository() const { return folder_ / "ledger.git"; }
  std::filesystem::path remote() const { return folder_ / "remote.git"; }
  Pusher::Options options() const {
    Pusher::Options options;
    options.repository = repository();
    options.remote.url = "file://" + remote().string();
    options.branch = "detent/ledger";
    options.deadline = Millis{20'000};
    return options;
  }
  std::string tip(const std::filesystem::path& where) const {
    return git(where, {"rev-parse", "refs/heads/detent/ledger"});
  }
  void hook(const std::string& script) const {
    test::write_file(remote() / "hooks/pre-receive", "#!/bin/sh\n" + script, true);
  }

  /// One push to its end, in real time.
  static PushResult push(Pusher& pusher) {
    pusher.wanted();
    const auto from = system_now().mono;
    // As if all pauses had passed.
    constexpr Millis late{10'000'000};
    std::optional<PushResult> result = pusher.turn(from + late);
    EXPECT_TRUE(result || eventually([&] { return (result = pusher.turn(system_now().mono + late)).has_value(); }));
    return result.value_or(PushResult{});
  }

  /// What the log says next, `late` from now.
  static std::vector<LedgerAlarm> alarms_of(AuditLog& log, Millis late = Millis{0}) {
    std::vector<LedgerAlarm> alarms;
    (void)eventually([&] {
      const auto now = system_now();
      (void)log.turn({now.mono + late, now.wall});
      alarms = log.take_alarms();
      return !alarms.empty();
    });
    return alarms;
  }

  test::Folder folder_{test::Folder::Kind::runs_programs};
};

TEST_F(PushTest, BringsTheBranchToTheRemote) {
  Pusher pusher{options()};
  EXPECT_EQ(push(pusher).outcome, PushOutcome::pushed);
  EXPECT_EQ(tip(remote()), tip(repository()));
}

TEST_F(PushTest, ARepositoryNamedInOurEnvironmentIsNotTakenForTheLedger) {
  setenv("GIT_DIR", "/nowhere", 1);
  Pusher pusher{options()};
  const auto result = push(pusher);
  unsetenv("GIT_DIR");
  EXPECT_EQ(result.outcome, PushOutcome::pushed) << result.reason;
}

TEST_F(PushTest, SaysWhenThereWasNothingToDo) {
  Pusher first{options()}, second{options()};
  EXPECT_EQ(push(first).outcome, PushOutcome::pushed);
  EXPECT_EQ(push(second).outcome, PushOutcome::up_to_date);
}

TEST_F(PushTest, AHookThatRefusesIsAFinalRefusalWithItsReason) {
  hook("echo 'GH013: a secret was found in signals/1.jsonl' >&2; exit 1\n");
  Pusher pusher{options()};
  const auto result = push(pusher);
  EXPECT_EQ(result.outcome, PushOutcome::refused);
  EXPECT_THAT(result.reason, HasSubstr("a secret was found"));
  EXPECT_THAT(result.reason, HasSubstr("pre-receive hook declined"));
}

TEST_F(PushTest, ARemoteThatMovedOnIsALostRaceAndIsNotOverwritten) {
  Pusher first{options()};
  ASSERT_EQ(push(first).outcome, PushOutcome::pushed);
  const auto theirs = git(remote(), {"commit-tree", "detent/ledger^{tree}", "-p", "detent/ledger", "-m", "theirs"});
  git(remote(), {"update-ref", "refs/heads/detent/ledger", theirs});
  {
    Writer writer{{.repository = repository()}};
    writer.seq = 1, writer.place = 2;
    writer.signal();
  }
  Pusher second{options()};
  const auto result = push(second);
  EXPECT_EQ(result.outcome, PushOutcome::lost) << result.reason;
  EXPECT_EQ(tip(remote()), theirs);
}

TEST_F(PushTest, ARemoteThatIsNotThereIsTriedAgainWithGrowingPauses) {
  auto nowhere = options();
  nowhere.remote.url = "file:///nowhere/at/all.git";
  Pusher pusher{nowhere};
  EXPECT_EQ(push(pusher).outcome, PushOutcome::unreachable);
  const auto first = *pusher.wait(Millis{0});
  EXPECT_EQ(push(pusher).outcome, PushOutcome::unreachable);
  EXPECT_GT(*pusher.wait(Millis{0}), first);
  EXPECT_EQ(pusher.failures(), 2);
}

TEST_F(PushTest, ARemoteThatHangsIsGivenUpAtTheDeadlineWithoutMakingTheOwnerWait) {
  const auto pid_file = folder_ / "pid";
  const auto ssh = folder_ / "ssh";
  test::write_file(ssh, "#!/bin/sh\necho $$ > " + pid_file.string() + "\nexec sleep 1000\n", true);
  auto hanging = options();
  hanging.remote = {"ssh://git@127.0.0.1/ledger.git", ssh.string()};
  hanging.deadline = Millis{400};
  Pusher pusher{hanging};
  pusher.wanted();
  std::optional<PushResult> result;
  ASSERT_TRUE(eventually([&] { return (result = pusher.turn(system_now().mono)).has_value(); }));
  EXPECT_EQ(result->outcome, PushOutcome::unreachable);
  EXPECT_THAT(result->reason, HasSubstr("deadline"));
  pid_t pid = 0;
  std::ifstream{pid_file} >> pid;
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(test::gone(pid)) << "the ssh that hung still runs";
}

TEST_F(PushTest, PushesAreCoalesced) {
  Pusher pusher{options()};
  pusher.wanted();
  const Millis start = system_now().mono;
  ASSERT_TRUE(eventually([&] { return pusher.turn(system_now().mono).has_value(); }));
  pusher.wanted();
  pusher.wanted();
  const auto wait = pusher.wait(start);
  ASSERT_TRUE(wait);
  EXPECT_GE(*wait, Millis{10'000});
  EXPECT_FALSE(pusher.turn(start + Millis{9'000}));
  EXPECT_FALSE(pusher.busy());
}

TEST_F(PushTest, ALedgerBegunAnewSaysHowToPushItAndIsPushedOnceThatIsDone) {
  Pusher pusher{options()};
  ASSERT_EQ(push(pusher).outcome, PushOutcome::pushed);
  const auto old = tip(remote());
  std::filesystem::remove_all(repository());
  Writer writer{{.repository = repository(), .remote = "file://" + remote().string()}};
  writer.seq = 1, writer.place = 2;
  writer.signal();
  auto alarms = alarms_of(*writer.log);
  ASSERT_EQ(alarms.size(), 1u);
  EXPECT_EQ(alarms[0].kind, Kind::push_diverged);
  EXPECT_THAT(alarms[0].text, HasSubstr("is not where this ledger left it"));
  EXPECT_EQ(tip(remote()), old) << "nothing there is written over unasked";
  const std::string& remedy = alarms[0].remedy;
  const auto from = remedy.find('`') + 1;
  const auto done = test::shell(remedy.substr(from, remedy.rfind('`') - from));
  ASSERT_EQ(done.code, 0) << remedy << "\n" << done.err;
  alarms = alarms_of(*writer.log, Millis{3'600'000});
  ASSERT_EQ(alarms.size(), 1u);
  EXPECT_TRUE(alarms[0].resolved);
  EXPECT_EQ(tip(remote()), tip(repository()));
  const auto kept = git(remote(), {"for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/detent/"});
  EXPECT_THAT(test::lines_of(kept), ElementsAre(HasSubstr("refs/heads/detent/ledger "),
                                                AllOf(HasSubstr("refs/heads/detent/ledger-20"), HasSubstr(old))));
}

TEST_F(PushTest, AHeadThatIsEmptiedWhileTheLogIsOpenIsMendedWhenAPushFails) {
  Writer writer{{.repository = repository(), .remote = "file://" + remote().string()}};
  std::ofstream{repository() / "HEAD"};
  const auto alarms = alarms_of(*writer.log);
  ASSERT_EQ(alarms.size(), 1u);
  EXPECT_EQ(alarms[0].kind, Kind::damaged);
  EXPECT_THAT(alarms[0].text, HasSubstr("HEAD could not be read"));
  EXPECT_TRUE(eventually([&] {
    const auto now = system_now();
    (void)writer.log->turn({now.mono + Millis{3'600'000}, now.wall});
    return !writer.log->figures().push_pending;
  }));
  EXPECT_EQ(tip(remote()), tip(repository()));
}

TEST_F(PushTest, TheLogSaysOnceThatTheRemoteRefusesAndOnceThatItIsResolved) {
  hook("echo protected >&2; exit 1\n");
  AuditLog::Options options{.repository = repository(), .remote = "file://" + remote().string()};
  Writer writer{options};
  auto alarms = alarms_of(*writer.log);
  ASSERT_EQ(alarms.size(), 1u);
  EXPECT_EQ(alarms[0].kind, Kind::push_refused);
  EXPECT_THAT(alarms[0].text, HasSubstr("protected"));
  std::filesystem::remove(remote() / "hooks/pre-receive");
  alarms = alarms_of(*writer.log, Millis{3'600'000});
  ASSERT_EQ(alarms.size(), 1u);
  EXPECT_TRUE(alarms[0].resolved);
  EXPECT_EQ(tip(remote()), tip(repository()));
  EXPECT_FALSE(writer.log->figures().push_pending);
}

PushResult said(const std::string& out, const std::string& err, int code = 1) {
  return push_result({.code = code, .out = out, .err = err});
}

TEST(PushResult, AllWordsForALostRaceAreKnown) {
  for (const std::string words :
       {"[rejected] (non-fast-forward)", "[rejected] (fetch first)", "[rejected] (stale info)",
        "[remote rejected] (cannot lock ref 'refs/heads/x': is at 1 but expected 2)",
        "[remote rejected] (failed to update ref)", "[remote rejected] (incorrect old value provided)"}) {
    EXPECT_EQ(said("To x\n!\trefs/heads/a:refs/heads/a\t" + words + "\nDone\n", "").outcome, PushOutcome::lost)
        << words;
  }
}

TEST(PushResult, AProtectedBranchIsARefusal) {
  const auto result = said(
      "To x\n!\ta:a\t[remote rejected] (protected branch hook declined)\nDone\n",
      "remote: error: GH006: Protected branch update failed for refs/heads/detent/ledger.\nerror: failed to push\n");
  EXPECT_EQ(result.outcome, PushOutcome::refused);
  EXPECT_THAT(result.reason, HasSubstr("GH006"));
}

TEST(PushResult, ACutLineIsUnreachable) {
  EXPECT_EQ(said("", "ssh: connect to host x port 22: Connection refused\n", 128).outcome, PushOutcome::unreachable);
  EXPECT_EQ(said("!\ta:a\t[remote failure] (remote failed to report status)\n", "").outcome, PushOutcome::unreachable);
}

TEST(PushResult, NamesNoCredentials) {
  const auto result = said("", "fatal: unable to access 'https://me:ghp_secret@example.org/x.git/': 403\n", 128);
  EXPECT_EQ(result.reason.find("ghp_secret"), std::string::npos) << result.reason;
  EXPECT_THAT(result.reason, HasSubstr("https://example.org/x.git"));
  EXPECT_EQ(without_credentials("a https://t@h/x and ssh://u:p@h:22/y@z"), "a https://h/x and ssh://h:22/y@z");
  EXPECT_EQ(without_credentials("ssh://git@h:22/y@z"), "ssh://git@h:22/y@z") << "whom one must be there is no secret";
}

TEST(GitCommand, KeepsTheRemoteOffTheCommandLine) {
  const Remote remote{"https://me:ghp_secret@example.org/x.git", ""};
  for (const auto& word : git_command("/tmp/x", {"push", "detent"}, &remote).command) {
    EXPECT_EQ(word.find("ghp_secret"), std::string::npos);
  }
}

TEST_F(PushTest, LooseObjectsArePackedWhileTheLogGoesOn) {
  AuditLog::Options options{.repository = repository(), .max_loose = 300};
  Writer writer{options};
  writer.seq = 1, writer.place = 2;
  for (int i = 0; i < 130; ++i) writer.signal();
  EXPECT_GT(Packer::count(repository()).loose + Packer::count(repository()).packs, 0u);
  EXPECT_TRUE(eventually([&] {
    writer.turns();
    return Packer::count(repository()).packs > 0;
  }));
  for (int i = 0; i < 20; ++i) writer.signal();
  EXPECT_THAT(writer.log->take_alarms(), IsEmpty());
  const auto report = AuditReader::open(repository())->verify({.first_seq = 1});
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_EQ(report->signals, 151u);
  writer.close();  // and with it a second repack that may be under way
  const auto fsck = test::fsck(repository());
  EXPECT_EQ(fsck.code, 0) << fsck.out << fsck.err;
}

/// Packs until there is nothing to do.
void pack(Packer& packer) {
  std::optional<Packer::Outcome> outcome;
  ASSERT_TRUE(eventually([&] { return (outcome = packer.turn(system_now().mono)).has_value(); }));
  EXPECT_TRUE(outcome->packed) << outcome->reason;
}

TEST_F(PushTest, APackThatAKilledPackerLeftUnnamedIsKeptUnderItsName) {
  {
    Writer writer{{.repository = repository()}};
    writer.seq = 1, writer.place = 2;
    for (int i = 0; i < 30; ++i) writer.signal();
  }
  const std::string in_packs = "cd " + repository().string() + "/objects/pack; ";
  ASSERT_EQ(
      test::shell(in_packs + "git rev-list --objects --all | cut -c1-40 | git pack-objects -q .tmp-123-pack").code, 0);
  test::write_file(repository() / "objects/pack/.tmp-123-pack-half.pack", "half of one");
  test::write_file(repository() / "objects/tmp_object_git2_x1Y2z3", "half of one");
  {
    Writer writer{{.repository = repository()}};
    writer.seq = 31, writer.place = 62;
    for (int i = 0; i < 5; ++i) writer.signal();
  }
  // This one drops the loose objects that the pack without a name holds.
  Packer first{{.repository = repository(), .max_loose = 1}};
  pack(first);
  EXPECT_EQ(Packer::count(repository()).loose, 0u);
  EXPECT_TRUE(std::filesystem::exists(repository() / "objects/tmp_object_git2_x1Y2z3")) << "its writer may be at work";
  ASSERT_EQ(test::shell(in_packs + "touch -d '2 hours ago' .tmp-* ../tmp_*").code, 0);
  Packer second{{.repository = repository(), .max_loose = 0}};
  pack(second);
  EXPECT_EQ(test::shell(in_packs + "ls -A . .. | grep -c tmp").out, "0\n");
  const auto report = AuditReader::open(repository())->verify({.first_seq = 1});
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_EQ(report->signals, 36u);
  const auto fsck = test::fsck(repository());
  EXPECT_EQ(fsck.code, 0) << fsck.out << fsck.err;
}

TEST_F(PushTest, ASecondPackerWaitsWhileOneIsRunning) {
  const auto lock = repository() / "detent-packing.lock";
  auto holder = Child::start({.command = {"flock", lock.string(), "sh", "-c", "echo locked; exec sleep 1000"}},
                             system_now().mono);
  ASSERT_TRUE(holder) << holder.error().what;
  ASSERT_TRUE(eventually([&] { return test::shell("flock -n " + lock.string() + " true").code != 0; }));
  Packer packer{{.repository = repository(), .max_loose = 1}};
  EXPECT_FALSE(packer.turn(Millis{0}));
  EXPECT_FALSE(packer.busy());
}

}  // namespace
}  // namespace detent
