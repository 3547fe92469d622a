// Two branches in one repository, each with a writer of its own that never touches the other.
#include "ledger/repository/branch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ledger/bench.h"

namespace detent {
namespace {

using test::git;
using Standing = Branch::Standing;

class BranchTest : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "hub.git"; }

  /// One more commit on `branch`, with this text in a file of it.
  Oid commit(Branch& branch, const std::string& text) {
    EXPECT_TRUE(branch.look());
    const auto tree = repository_.write_tree(branch.tree(), {{"NOTE.md", text}});
    EXPECT_TRUE(tree) << tree.error().what;
    const auto id = repository_.write_commit(*tree, branch.parent(), text, {}, test::kNoon);
    EXPECT_TRUE(id) << id.error().what;
    const auto advanced = branch.advance(*id, *tree);
    EXPECT_TRUE(advanced && *advanced == Branch::Advance::done);
    return *id;
  }
  std::string text_of(const Branch& branch) const { return git(path(), {"cat-file", "-p", branch.ref() + ":NOTE.md"}); }
  void empty(const std::string& ref) const { test::write_file(path() / ref, ""); }

  test::Folder folder_;
  Repository repository_ = Repository::open_or_create(path(), "detent/ledger").value();
  Branch ledger_{repository_, "detent/ledger"};
  Branch tasks_{repository_, "detent/tasks"};
};

TEST_F(BranchTest, SettingOneAsideLeavesTheOtherAsItIs) {
  commit(ledger_, "a signal");
  const Oid queue = commit(tasks_, "a task");
  empty(ledger_.ref());
  const auto named = ledger_.read(ledger_.ref());
  ASSERT_TRUE(named);
  ASSERT_TRUE(named->damage);
  EXPECT_EQ(named->damage->code, EBADMSG);
  ASSERT_TRUE(ledger_.set_aside(ledger_.ref(), test::kNoon));
  const auto gone = ledger_.read(ledger_.ref());
  ASSERT_TRUE(gone);
  EXPECT_FALSE(gone->commit || gone->damage);
  EXPECT_EQ(git(path(), {"rev-parse", tasks_.ref()}), queue.hex());
  EXPECT_EQ(text_of(tasks_), "a task");
  commit(tasks_, "a second task");
  EXPECT_EQ(text_of(tasks_), "a second task");
}

TEST_F(BranchTest, WhatIsSetAsideAndCanBeReadStaysInReach) {
  const Oid id = commit(ledger_, "a signal");
  const auto first = ledger_.set_aside(ledger_.ref(), test::kNoon);
  ASSERT_TRUE(first && *first);
  EXPECT_EQ(**first, "refs/detent/damaged/detent/ledger/20261122T120000Z");
  EXPECT_EQ(git(path(), {"rev-parse", **first}), id.hex());
  // In the same second another one does not take its name.
  const auto second = ledger_.keep_damaged(commit(ledger_, "another signal"), test::kNoon);
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, "refs/detent/damaged/detent/ledger/20261122T120000Z.2");
}

TEST_F(BranchTest, SaysHowItsRefStandsToItsLastCommit) {
  EXPECT_EQ(ledger_.look().value(), Standing::in_place);
  const Oid first = commit(ledger_, "one"), second = commit(ledger_, "two");
  EXPECT_EQ(ledger_.look().value(), Standing::in_place);
  git(path(), {"update-ref", ledger_.ref(), first.hex()});
  EXPECT_EQ(ledger_.look().value(), Standing::moved_back);
  const std::string above = git(path(), {"commit-tree", "-m", "by hand", "-p", second.hex(), second.hex() + "^{tree}"});
  git(path(), {"update-ref", ledger_.ref(), above});
  EXPECT_EQ(ledger_.look().value(), Standing::above);
  const std::string other = git(path(), {"commit-tree", "-m", "another history", second.hex() + "^{tree}"});
  git(path(), {"update-ref", ledger_.ref(), other});
  EXPECT_EQ(ledger_.look().value(), Standing::diverged);
  git(path(), {"update-ref", "-d", ledger_.ref()});
  EXPECT_EQ(ledger_.look().value(), Standing::gone);
  EXPECT_EQ(ledger_.parent(), second) << "what comes next is built on our last commit";
}

TEST_F(BranchTest, ARefThatMovedSinceTheLookIsNotWrittenOver) {
  commit(ledger_, "one");
  ASSERT_TRUE(ledger_.look());
  const Oid seen = *ledger_.seen();
  const auto tree = repository_.write_tree(ledger_.tree(), {{"NOTE.md", "two"}});
  const auto id = repository_.write_commit(*tree, ledger_.parent(), "two", {}, test::kNoon);
  const std::string foreign = git(path(), {"commit-tree", "-m", "by hand", "-p", seen.hex(), seen.hex() + "^{tree}"});
  git(path(), {"update-ref", ledger_.ref(), foreign});
  EXPECT_EQ(ledger_.advance(*id, *tree).value(), Branch::Advance::lost);
  EXPECT_EQ(git(path(), {"rev-parse", ledger_.ref()}), foreign);
}

}  // namespace
}  // namespace detent
