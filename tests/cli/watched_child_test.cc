#include "cli/watched_child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "tests/cli/invoke.h"

namespace detent {

namespace {

std::string contents(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Captured {
  Folder folder;
  int out = open((folder.path / "out").c_str(), O_CREAT | O_WRONLY, 0600);
  int err = open((folder.path / "err").c_str(), O_CREAT | O_WRONLY, 0600);
  ~Captured() {
    close(out);
    close(err);
  }
  std::string out_text() const { return contents(folder.path / "out"); }
  std::string err_text() const { return contents(folder.path / "err"); }
};

}  // namespace

TEST(WatchedChild, PassesBothStreamsThroughAndKeepsTheTail) {
  Captured to;
  const Watched watched = watch({"sh", "-c", "echo one; echo two >&2"}, to.out, to.err, 1000);
  EXPECT_EQ(watched.exit_code, 0);
  EXPECT_EQ(to.out_text(), "one\n");
  EXPECT_EQ(to.err_text(), "two\n");
  EXPECT_EQ(watched.output.size(), 8u);
  EXPECT_FALSE(watched.cut);
}

TEST(WatchedChild, BoundsWhatItKeepsAndPassesAllOfItThrough) {
  Captured to;
  const Watched watched = watch({"sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end"}, to.out, to.err, 1000);
  EXPECT_EQ(watched.output.size(), 1000u);
  EXPECT_TRUE(watched.cut);
  EXPECT_TRUE(watched.output.ends_with("xend\n"));
  EXPECT_EQ(to.out_text().size(), 3'000'004u);
}

TEST(WatchedChild, OutlivesTheReaderOfItsOutputAndKeepsTheExitCode) {
  Captured to;
  int pipe[2];
  ASSERT_EQ(pipe2(pipe, O_CLOEXEC), 0);
  close(pipe[0]);
  const Watched watched = watch({"sh", "-c", "seq 100000; exit 3"}, pipe[1], to.err, 1000);
  close(pipe[1]);
  EXPECT_EQ(watched.exit_code, 3);
  EXPECT_TRUE(watched.output.ends_with("100000\n"));
}

TEST(WatchedChild, LeavesTheCommandsOwnBrokenPipesAsTheyAre) {
  Captured to;
  const Watched watched = watch({"sh", "-c", "kill -PIPE $$; exit 3"}, to.out, to.err, 1000);
  EXPECT_EQ(watched.signal, SIGPIPE);
}

TEST(WatchedChild, TellsTheSignalThatEndedIt) {
  Captured to;
  const Watched watched = watch({"sh", "-c", "kill -KILL $$"}, to.out, to.err, 1000);
  EXPECT_EQ(watched.signal, SIGKILL);
  EXPECT_EQ(watched.exit_code, 128 + SIGKILL);
}

TEST(WatchedChild, TellsWhatCouldNotBeStarted) {
  Captured to;
  const Watched watched = watch({"/nonexistent/x"}, to.out, to.err, 1000);
  EXPECT_EQ(watched.exit_code, 127);
  EXPECT_EQ(watched.not_started, "/nonexistent/x: No such file or directory");
}

TEST(WatchedChild, PassesATerminationOn) {
  Captured to;
  // The command tells its parent, this process, to end once its own trap is set.
  const Watched watched =
      watch({"sh", "-c", "trap 'echo caught; exit 7' TERM; kill -TERM $PPID; while :; do sleep 0.01; done"}, to.out,
            to.err, 1000);
  EXPECT_EQ(watched.exit_code, 7);
  EXPECT_EQ(to.out_text(), "caught\n");
}

TEST(WatchedChild, DoesNotWaitForWhatTheCommandLeftBehind) {
  Captured to;
  const Watched watched = watch({"sh", "-c", "sleep 30 & echo $!"}, to.out, to.err, 1000);
  EXPECT_EQ(watched.exit_code, 0);
  const pid_t left = std::stoi(watched.output);
  EXPECT_EQ(kill(left, SIGKILL), 0);
}

TEST(WatchedChild, LeavesTheSignalMaskAsItWas) {
  Captured to;
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  watch({"true"}, to.out, to.err, 10);
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    EXPECT_EQ(sigismember(&before, number), sigismember(&after, number));
}

}  // namespace detent
