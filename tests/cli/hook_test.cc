#include <gmock/gmock.h>

#include "cli/git.h"
#include "proto/signal.pb.h"
#include "tests/cli/invoke.h"
#include "tests/running/running.h"
#include "tests/support/scripted_broker.h"

namespace detent {

namespace {

using testing::HasSubstr;
using testing::Not;

struct WorkTree : Folder {
  WorkTree() {
    run({"init", "-q", "-b", "main"});
    run({"config", "user.name", "Agent"});
    run({"config", "user.email", "agent@example.org"});
  }
  std::string run(const std::vector<std::string>& arguments) const { return git(path.string(), arguments); }
  void commit(const std::string& name, const std::string& text, const std::string& subject) const {
    std::filesystem::create_directories((path / name).parent_path());
    write(name, text);
    run({"add", "-A"});
    run({"commit", "-q", "-m", subject});
  }
};

/// Waits until the broker holds `count` signals; the hook works in the background.
std::vector<MemoryUpdate> updates(test::StartedBroker& broker, size_t count) {
  EXPECT_TRUE(broker.wait_for_signals(count));
  std::vector<MemoryUpdate> all;
  for (const std::string& bytes : broker.published()) {
    Signal signal;
    EXPECT_TRUE(signal.ParseFromString(bytes));
    EXPECT_EQ(signal.type(), "memory.updated");
    EXPECT_TRUE(all.emplace_back().ParseFromString(signal.payload()));
  }
  EXPECT_EQ(all.size(), count);
  all.resize(count);
  return all;
}

}  // namespace

TEST(Hook, PublishesTheDiffOfAWatchedFileWhenItIsCommitted) {
  WorkTree tree;
  test::StartedBroker broker;
  const Invoked installed = invoke({"hook", "install", tree.path.string(), "--broker", broker.endpoint()});
  ASSERT_EQ(installed.exit, 0) << installed.err;
  tree.commit("MEMORY.md", "one\ntwo\n", "remember one and two");
  const MemoryUpdate update = updates(broker, 1)[0];
  EXPECT_EQ(update.title(), "MEMORY.md: remember one and two");
  EXPECT_EQ(update.path(), "MEMORY.md");
  EXPECT_EQ(update.commit(), tree.run({"rev-parse", "HEAD"}));
  EXPECT_EQ(update.lines_added(), 2);
  EXPECT_EQ(update.lines_removed(), 0);
  EXPECT_THAT(update.diff(), HasSubstr("+one\n+two"));
}

TEST(Hook, SaysNothingOfOtherFiles) {
  WorkTree tree;
  test::StartedBroker broker;
  ASSERT_EQ(invoke({"hook", "install", tree.path.string(), "--broker", broker.endpoint(), "--watch", "notes/"}).exit,
            0);
  tree.commit("MEMORY.md", "one\n", "not watched");
  tree.commit("notes/a b.md", "two\n", "watched");
  EXPECT_EQ(updates(broker, 1)[0].path(), "notes/a b.md");
}

TEST(Hook, NamesAPathOutsideAsciiAsItIsAndHoldsItsDiff) {
  WorkTree tree;
  test::StartedBroker broker;
  ASSERT_EQ(invoke({"hook", "install", tree.path.string(), "--broker", broker.endpoint(), "--watch", "memory/"}).exit,
            0);
  tree.commit("memory/caf\u00e9 \"x\".md", "eins\n", "remember");
  const MemoryUpdate update = updates(broker, 1)[0];
  EXPECT_EQ(update.path(), "memory/caf\u00e9 \"x\".md");
  EXPECT_EQ(update.lines_added(), 1);
  EXPECT_THAT(update.diff(), HasSubstr("+eins"));
}

TEST(Hook, CutsALongTitleBetweenCharacters) {
  WorkTree tree;
  test::StartedBroker broker;
  ASSERT_EQ(invoke({"hook", "install", tree.path.string(), "--broker", broker.endpoint()}).exit, 0);
  std::string subject;
  for (int i = 0; i < 260; ++i) subject += "\u0436";
  tree.commit("MEMORY.md", "x\n", subject);
  const std::string title = updates(broker, 1)[0].title();
  EXPECT_THAT(title, testing::StartsWith("MEMORY.md: \u0436"));
  EXPECT_GE(title.size(), 510u);
  EXPECT_LE(title.size(), 512u);
}

TEST(Hook, GoesOnWithTheOthersWhereOneGoesWrong) {
  WorkTree tree;
  test::StartedBroker broker;
  tree.commit("MEMORY.md", "x\n", "remember");
  const Invoked fired = invoke({"hook", "fire", tree.path.string(), "--broker", broker.endpoint(), "--watch",
                                "/outside", "--watch", "MEMORY.md"});
  EXPECT_EQ(fired.exit, 1);
  EXPECT_THAT(fired.err, HasSubstr("/outside"));
  EXPECT_EQ(updates(broker, 1)[0].path(), "MEMORY.md");
}

TEST(Hook, RefusesWhereItWouldNeverFire) {
  const WorkTree tree;
  for (const std::string watched : {"", "../x", "a/../../x"}) {
    const Invoked refused = invoke({"hook", "install", tree.path.string(), "--watch", watched});
    EXPECT_EQ(refused.exit, 2) << watched;
    EXPECT_THAT(refused.err, HasSubstr("--watch"));
  }
  const Folder bare;
  git(bare.path.string(), {"init", "-q", "--bare"});
  const Invoked refused = invoke({"hook", "install", bare.path.string()});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("is a bare repository"));
}

TEST(Hook, SaysThatAFolderIsInTheWay) {
  const WorkTree tree;
  std::filesystem::create_directories(tree.path / ".git/hooks/post-commit");
  const Invoked refused = invoke({"hook", "install", tree.path.string()});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("post-commit is a folder: move it away"));
}

TEST(Hook, KeepsTheHookThatWasThereAndRunsItFirst) {
  WorkTree tree;
  test::StartedBroker broker;
  const std::string before = tree.write(".git/hooks/post-commit", "#!/bin/sh\ntouch ran-before\n");
  std::filesystem::permissions(before, std::filesystem::perms(0755));
  for (int i = 0; i < 2; ++i) {
    const Invoked installed = invoke({"hook", "install", tree.path.string(), "--broker", broker.endpoint()});
    ASSERT_EQ(installed.exit, 0) << installed.err;
    EXPECT_THAT(installed.out, HasSubstr("the hook that was there runs first"));
  }
  tree.commit("CURRENT.md", "x\n", "current");
  EXPECT_TRUE(std::filesystem::exists(tree.path / "ran-before"));
  EXPECT_EQ(updates(broker, 1)[0].path(), "CURRENT.md");
}

TEST(Hook, NeverFailsACommitWithoutABroker) {
  WorkTree tree;
  std::string endpoint;
  { endpoint = ScriptedBroker().endpoint(); }
  ASSERT_EQ(invoke({"hook", "install", tree.path.string(), "--broker", endpoint}).exit, 0);
  EXPECT_NO_THROW(tree.commit("MEMORY.md", "x\n", "no broker"));
  const Invoked fired = invoke({"hook", "fire", tree.path.string(), "--broker", endpoint, "--deadline", "100ms"});
  EXPECT_EQ(fired.exit, 1);
  EXPECT_THAT(fired.err, HasSubstr("no broker answers"));
}

TEST(Hook, SaysThatAFolderIsNoRepository) {
  Folder folder;
  const Invoked wrong = invoke({"hook", "install", folder.path.string()});
  EXPECT_EQ(wrong.exit, 1);
  EXPECT_THAT(wrong.err, HasSubstr("not a git repository"));
}

}  // namespace detent
