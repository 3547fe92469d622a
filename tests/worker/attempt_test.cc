// What an attempt is given, what it may see, and how its end is told; under each kind of isolation.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/units.h"
#include "tests/support/eventually.h"
#include "tests/worker/attempt_fixture.h"

namespace detent {
namespace {

namespace fs = std::filesystem;
using State = Outcome::State;
using testing::Contains;
using testing::HasSubstr;
using testing::IsSubsetOf;
using testing::Not;

class AttemptRun : public AttemptFixture {
 protected:
  fs::path secret(const std::string& name, const std::string& value, mode_t mode = 0600) {
    const fs::path file = folder() / name;
    std::ofstream(file) << value << "\n";
    chmod(file.c_str(), mode);
    return file;
  }
  /// Once more, with what was added to the config.
  void probe_again() {
    isolation_.reset();
    isolation_ = Isolation::probe(config_).value();
  }
  static std::string sha256_of(const std::string& text) {
    Output output(1, 1, {});
    output.add(Child::Stream::out, text, Millis{0});
    return output.out().sha256;
  }
};

std::string many(size_t bytes) {
  std::string out;
  for (size_t i = 0; out.size() < bytes; ++i) out += "line " + std::to_string(i) + "\n";
  out.resize(bytes);
  return out;
}

TEST_P(AttemptRun, EnvironmentHoldsNothingUnlisted) {
  setenv("DETENT_TEST_UNLISTED", "not for you", 1);
  setenv("DETENT_TEST_LISTED", "for you", 1);
  RunnerConfig runner;
  runner.command = {"env"};
  runner.pass_env = {"PATH", "DETENT_TEST_LISTED"};
  runner.env = {{"FIXED", "a=b"}};
  const auto outcome = run(runner);
  ASSERT_EQ(outcome.state, State::succeeded) << outcome.error;
  std::set<std::string> names;
  std::istringstream lines(outcome.text);
  for (std::string line; std::getline(lines, line);) names.insert(line.substr(0, line.find('=')));
  const std::vector<std::string> allowed{"PATH",        "DETENT_TEST_LISTED", "FIXED", "HOME", "TMPDIR",
                                         "DETENT_TASK", "DETENT_ATTEMPT",     "PWD"};  // the last is bwrap's
  EXPECT_THAT(names, IsSubsetOf(allowed));
  EXPECT_THAT(outcome.text, HasSubstr("DETENT_TEST_LISTED=for you\n"));
  EXPECT_THAT(outcome.text, HasSubstr("FIXED=a=b\n"));
  EXPECT_THAT(outcome.text, HasSubstr("DETENT_TASK=task\n"));
}

TEST_P(AttemptRun, SecretsGoToTheRunnerThatListsThemAndToNoOther) {
  auto trusted = shell("echo \"got $TOKEN\"; cat " + (folder() / "token").string() + " 2>/dev/null || echo hidden");
  trusted.secrets = {{"TOKEN", secret("token", "swordfish")}};
  auto other = trusted;
  other.secrets.clear();
  config_.runners = {{"trusted", trusted}, {"other", other}};
  probe_again();
  EXPECT_THAT(run(trusted, {.task = "task", .epoch = 1, .readable = {folder() / "token"}}).text,
              HasSubstr("got swordfish\n"));
  const auto without = run(other, {.task = "task", .epoch = 2, .readable = {folder() / "token"}});
  EXPECT_THAT(without.text, HasSubstr("got \n"));
  // Without bwrap its file is as readable as it is to the worker, which the summary says.
  if (isolation_->has_bwrap()) {
    EXPECT_EQ(without.text, "got \nhidden\n");
  }
  if (!isolation_->has_bwrap()) {
    EXPECT_THAT(isolation_->summary(), HasSubstr("can write what the worker can"));
  }
}

TEST_P(AttemptRun, ASecretThatOthersCanReadIsRefusedWithoutBeingShown) {
  auto runner = shell("echo $TOKEN");
  runner.secrets = {{"TOKEN", secret("token", "swordfish", 0640)}};
  const auto outcome = run(runner);
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_THAT(outcome.error, HasSubstr("can be read by others (mode 0640): chmod 600 "));
  EXPECT_THAT(outcome.error, Not(HasSubstr("swordfish")));
  runner.secrets = {{"TOKEN", folder() / "nowhere"}};
  EXPECT_THAT(run(runner).error, HasSubstr("cannot read the secret TOKEN in "));
  expect_nothing_left();
}

TEST_P(AttemptRun, APromptOfFiveMebibytesArrivesByFileAndByStdin) {
  const std::string prompt = many(5 * kMiB);
  RunnerConfig runner;
  runner.command = {"sh", "-c", "stat -c %a \"$1\"; sha256sum <\"$1\"", "sh", "{prompt_file}"};
  runner.prompt = RunnerConfig::Prompt::file;
  const auto by_file = run(runner, {.task = "task", .epoch = 1, .prompt = prompt});
  EXPECT_EQ(by_file.text, "600\n" + sha256_of(prompt) + "  -\n") << by_file.error;
  const auto by_stdin = run(shell("sha256sum"), {.task = "task", .epoch = 2, .prompt = prompt});
  EXPECT_EQ(by_stdin.text, sha256_of(prompt) + "  -\n") << by_stdin.error;
  expect_nothing_left();
}

TEST_P(AttemptRun, APromptAsAnArgumentStaysAsItIs) {
  RunnerConfig runner;
  runner.command = {"printf", "%s|%s", "{prompt}", "{task} {epoch}"};
  runner.prompt = RunnerConfig::Prompt::argument;
  const AttemptOrder order{.task = "t-1", .epoch = 1, .prompt = "$(id) {task} 'x'\n"};
  EXPECT_EQ(run(runner, order).text, "$(id) {task} 'x'\n|t-1 {epoch}");
}

TEST_P(AttemptRun, APromptThatIsTooLongForAnArgumentIsRefusedWithTheWayOut) {
  RunnerConfig runner;
  runner.command = {"true", "{prompt}"};
  runner.prompt = RunnerConfig::Prompt::argument;
  const auto outcome = run(runner, {.task = "task", .epoch = 1, .prompt = many(5 * kMiB)});
  EXPECT_EQ(
      outcome.error,
      "the prompt is too long for an argument (5 MiB; one ends at 128 KiB): let the runner take it by {prompt_file} "
      "or on standard input");
  EXPECT_EQ(run(runner, {.task = "task", .epoch = 1, .prompt = many((128 << 10) - 1)}).state, State::succeeded);
  expect_nothing_left();
}

TEST_P(AttemptRun, LivesInAFolderAndASessionOfItsOwn) {
  auto attempt = start(shell("pwd; echo $HOME; echo x > $TMPDIR/file; ls $TMPDIR; read line"),
                       {.task = "task", .epoch = 7, .prompt = ""});
  ASSERT_TRUE(attempt) << attempt.error().what;
  EXPECT_EQ(attempt->name(), "task.7");
  const auto outcome = finish(*attempt);
  const std::string home = (isolation_->attempts() / "task.7" / "home").string();
  EXPECT_EQ(outcome.text, home + "\n" + home + "\nfile\n");
  expect_nothing_left();
}

TEST_P(AttemptRun, IsNotInOurProcessGroup) {
  auto attempt = start(shell("echo ready; exec sleep 1010"));
  ASSERT_TRUE(attempt) << attempt.error().what;
  wait_for_line(*attempt, "ready");
  ASSERT_TRUE(eventually([&] { return !attempt->poll(system_now().mono) && attempt->pid() != 0; }));
  const auto found = process(attempt->pid());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->group, attempt->pid());
  EXPECT_EQ(getsid(attempt->pid()), attempt->pid());
  attempt->cancel(system_now().mono);
  EXPECT_EQ(finish(*attempt).state, State::cancelled);
}

TEST_P(AttemptRun, LinesComeWhileItRunsAndBothStreamsMakeTheTail) {
  auto attempt = start(shell("echo out; echo err >&2; read line; printf 'a\\r\\nb\\377c\\nno end'"));
  ASSERT_TRUE(attempt) << attempt.error().what;
  const auto outcome = finish(*attempt);
  EXPECT_THAT(lines_, testing::UnorderedElementsAre("out", "err", "a",
                                                    "b\xEF\xBF\xBD"
                                                    "c",
                                                    "no end"));
  EXPECT_THAT(outcome.tail, HasSubstr("err\n"));
  EXPECT_THAT(outcome.text, Not(HasSubstr("err\n")));
  EXPECT_EQ(outcome.out.bytes, 4u + 3 + 4 + 6);
  EXPECT_EQ(outcome.err.bytes, 4u);
}

TEST_P(AttemptRun, FailureIsToldInOneLine) {
  const auto exited = run(shell("echo what went wrong >&2; exit 3"));
  EXPECT_EQ(exited.state, State::failed);
  EXPECT_EQ(exited.exit_code, 3);
  EXPECT_EQ(exited.error, "exited with 3: what went wrong");
  const auto killed = run(shell("kill -SEGV $$"));
  EXPECT_EQ(killed.exit_code, 128 + SIGSEGV);
  if (!isolation_->has_bwrap()) {
    EXPECT_EQ(killed.error, "was ended by signal 11 (Segmentation fault)");
  }
  RunnerConfig missing;
  missing.command = {"no-such-program-anywhere"};
  missing.pass_env.clear();  // our PATH may hold folders that we may not enter
  const auto not_run = run(missing);
  EXPECT_EQ(not_run.state, State::failed);
  EXPECT_THAT(not_run.error, HasSubstr("no-such-program-anywhere"));
  EXPECT_THAT(not_run.error, HasSubstr("No such file or directory"));
  if (!isolation_->has_bwrap()) {
    EXPECT_EQ(not_run.exit_code, 127);
  }
  EXPECT_GT(exited.peak_memory, 100u << 10);
  expect_nothing_left();
}

TEST_P(AttemptRun, ATaskWhoseIdIsNoPlainNameIsRefused) {
  for (const char* id : {"", "..", "a/b", "a.b", "a b"})
    EXPECT_THAT(run(shell("true"), {.task = id, .epoch = 1}).error, HasSubstr("a task's id is made of")) << id;
  EXPECT_FALSE(attempt_name(std::string(101, 'a'), 1));
}

TEST_P(AttemptRun, TwoAtOnceDoNotMeet) {
  auto first = start(shell("echo mine > $TMPDIR/file; echo ready; exec sleep 1011"), {.task = "first", .epoch = 1});
  ASSERT_TRUE(first) << first.error().what;
  wait_for_line(*first, "ready");
  const auto second = run(shell("cat " + (isolation_->attempts() / "first.1/tmp/file").string() +
                                " 2>/dev/null; ls $TMPDIR | wc -l; ls " + isolation_->attempts().string()),
                          {.task = "second", .epoch = 1});
  if (isolation_->has_bwrap()) {
    EXPECT_EQ(second.text, "0\nsecond.1\n");
  }
  EXPECT_FALSE(first->poll(system_now().mono));
  first->cancel(system_now().mono);
  EXPECT_EQ(finish(*first).state, State::cancelled);
  expect_nothing_left();
}

TEST_P(AttemptRun, UnderBwrapTheSystemIsReadOnlyAndOtherProcessesAreOutOfReach) {
  if (!isolation_->has_bwrap()) GTEST_SKIP() << "only bwrap holds this";
  const fs::path workspace = folder() / "workspace";
  fs::create_directories(workspace);
  const auto outcome =
      run(shell("touch /etc/detent-test 2>/dev/null && echo wrote; touch /run/x 2>/dev/null && echo wrote; "
                "kill -0 " +
                std::to_string(getpid()) +
                " 2>/dev/null && echo reached; touch here && echo here; "
                "touch /tmp/x $TMPDIR/x && ls $TMPDIR"),
          {.task = "task", .epoch = 1, .workspace = workspace});
  EXPECT_EQ(outcome.text, "here\nx\n") << outcome.error;
  EXPECT_TRUE(fs::exists(workspace / "here"));
}

TEST_P(AttemptRun, UnderBwrapWhatIsHiddenIsSeenOnlyWhereTheRunnerReadsIt) {
  if (!isolation_->has_bwrap()) GTEST_SKIP() << "only bwrap holds this";
  const fs::path keys = folder() / "keys", cache = folder() / "cache";
  fs::create_directories(keys);
  fs::create_directories(cache);
  std::ofstream(keys / "agent.json5") << "{}\n";
  std::ofstream(keys / "other") << "hidden\n";
  config_.hide = {keys, folder() / "not-there"};
  probe_again();
  auto runner = shell("ls " + keys.string() + "; cat " + (keys / "agent.json5").string() + "; echo x > " +
                      (cache / "x").string() + "; touch " + (keys / "new").string() + " 2>/dev/null || echo read-only");
  runner.readable = {keys / "agent.json5"};
  runner.writable = {cache};
  EXPECT_EQ(run(runner).text, "agent.json5\n{}\nread-only\n");
  EXPECT_TRUE(fs::exists(cache / "x"));
}

TEST_P(AttemptRun, ThatKillsItsGuardEndsAllTheSame) {
  if (isolation_->has_bwrap()) GTEST_SKIP() << "it does not see its guard";
  const auto outcome =
      run(shell("setsid sh -c 'sleep 1012 & exec sleep 1013' >/dev/null 2>&1 </dev/null & kill -9 $PPID; sleep 1014"));
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_EQ(outcome.error, "its guard was killed, and it with it");
  expect_nothing_left();
}

TEST_P(AttemptRun, ThatIsDroppedIsEnded) {
  {
    auto attempt = start(shell("setsid sleep 1015 & echo ready; trap '' TERM; exec sleep 1016"));
    ASSERT_TRUE(attempt) << attempt.error().what;
    wait_for_line(*attempt, "ready");
    EXPECT_FALSE(alive().empty());
  }
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(Isolation, AttemptRun, testing::Values("none", "cgroup", "bwrap"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace detent
