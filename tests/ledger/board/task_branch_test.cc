// detent/tasks by its real writer on a real repository, with people who edit it by git itself.
#include "ledger/board/task_branch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/ledger/bench.h"
#include "tests/support/eventually.h"

namespace detent {
namespace {

using test::git;
using test::kNoon;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Kind = QueueRequest::Kind;

const std::string kFirst = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B9", kSecond = "01JDZ8Q6M3T5V7W9X1Y3Z5A7C0";

QueueTask task(const std::string& id, QueueState state = QueueState::queued) {
  QueueTask task;
  task.id = id;
  task.title = "Weekly review";
  task.state = state;
  task.runner = "shell";
  task.text = "Look at the week.";
  if (state == QueueState::running) task.claim = "worker-1 epoch=1";
  return task;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class TaskBranchTest : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "ledger.git"; }
  std::filesystem::path hub() const { return folder_ / "hub.git"; }
  std::filesystem::path clone() const { return folder_ / "clone"; }

  std::unique_ptr<TaskBranch> open(bool with_hub = false) {
    TaskBranch::Options options;
    options.repository = path();
    if (with_hub) options.remote = "file://" + hub().string();
    options.pushes_per_minute = 600;
    options.fetch_every = options.push_retry = Millis{50};
    auto opened = TaskBranch::open(options, {Millis{0}, kNoon});
    EXPECT_TRUE(opened) << opened.error().what;
    return std::move(*opened);
  }
  TaskBranch::Turn turn(TaskBranch& branch) {
    wall_ += std::chrono::seconds{1};
    auto turned = branch.turn({system_now().mono, wall_});
    EXPECT_TRUE(turned) << turned.error().what;
    return turned ? std::move(*turned) : TaskBranch::Turn{};
  }
  /// Has the edits that are there taken, and merged.
  std::vector<HandEdit> take(TaskBranch& branch) {
    const auto edits = turn(branch).edits;
    branch.edits_taken();
    turn(branch);
    return edits;
  }
  std::string file(const std::string& name, const std::filesystem::path& where) const {
    return git(where, {"show", "detent/tasks:worker/" + name}) + "\n";
  }
  std::string file(const std::string& name) const { return file(name, path()); }
  /// A person edits a file in a clone of `of` and pushes it there.
  void edit(const std::filesystem::path& of, const std::string& name,
            const std::function<std::string(std::string)>& change, bool fresh = true) {
    if (fresh) {
      std::filesystem::remove_all(clone());
      git(folder_ / ".", {"clone", "-q", "-b", "detent/tasks", of.string(), clone().string()});
    }
    const auto where = clone() / "worker" / name;
    std::filesystem::create_directories(where.parent_path());
    const std::string text = std::filesystem::exists(where) ? read(where) : std::string();
    test::write_file(where, change(text));
    git(clone(), {"add", "-A"});
    git(clone(), {"-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "by hand"});
  }
  void push() { git(clone(), {"push", "-q", "origin", "detent/tasks"}); }
  int commits() const { return std::stoi(git(path(), {"rev-list", "--count", "detent/tasks"})); }

  test::Folder folder_;
  Millis wall_ = kNoon;
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in\n" << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST_F(TaskBranchTest, TellsWhatBecameOfATaskInOneLineAndItsResultInAFile) {
  auto branch = open();
  branch->changed(task(kFirst), Millis{0});
  EXPECT_TRUE(turn(*branch).committed);
  EXPECT_THAT(file("QUEUE.md"), HasSubstr("## " + kFirst + " - Weekly review\n\n- state: queued\n"));
  const std::string before = file("QUEUE.md");
  branch->changed(task(kFirst, QueueState::running), Millis{0});
  turn(*branch);
  EXPECT_EQ(file("QUEUE.md"), replaced(replaced(before, "queued", "running"), "claim:", "claim: worker-1 epoch=1"));
  TaskResult result;
  result.id = kFirst;
  result.state = "succeeded";
  result.epoch = 1;
  result.ended = kNoon;
  result.body = "All is well.";
  branch->changed(task(kFirst, QueueState::succeeded), kNoon);
  branch->ended(result, false);
  EXPECT_THAT(turn(*branch).filed, ElementsAre(kFirst));
  EXPECT_TRUE(branch->has_result(result).value());
  TaskResult later = result;
  later.ended += Millis{1};
  EXPECT_FALSE(branch->has_result(later).value()) << "it was retried, and cancelled before it ran again";
  later.epoch = 0;
  EXPECT_TRUE(branch->has_result(later).value()) << "an earlier attempt's";
  EXPECT_EQ(file("QUEUE.md"), replaced(before, "queued", "succeeded"));
  EXPECT_THAT(file("RESULTS/" + kFirst + ".md"), HasSubstr("All is well."));
  EXPECT_EQ(git(path(), {"log", "-1", "--format=%s", "detent/tasks"}), "succeeded: Weekly review");
  EXPECT_FALSE(turn(*branch).committed) << "nothing changed";
  EXPECT_EQ(commits(), 3);
}

TEST_F(TaskBranchTest, AHeadingAndSomeTextIsATaskAndComesToTheSameIdWhenAskedTwice) {
  {
    auto branch = open();
    turn(*branch);
    edit(path(), "QUEUE.md", [](const std::string& text) { return text + "\n## Water the plants\n\nAll of them.\n"; });
    push();
    const auto edits = turn(*branch).edits;
    ASSERT_THAT(edits, SizeIs(1));
    EXPECT_EQ(edits[0].kind, Kind::new_task);
    EXPECT_EQ(edits[0].task.text, "All of them.");
    EXPECT_FALSE(turn(*branch).committed) << "not before it is durable";
  }
  auto branch = open();  // after a crash
  const auto edits = turn(*branch).edits;
  ASSERT_THAT(edits, SizeIs(1));
  const std::string id = edits[0].id.text();
  branch->edits_taken();
  EXPECT_TRUE(turn(*branch).committed);
  EXPECT_THAT(file("QUEUE.md"), HasSubstr("## " + id + " - Water the plants\n"));
  EXPECT_THAT(file("QUEUE.md"), HasSubstr("by ann@example.org"));
  EXPECT_THAT(turn(*branch).edits, IsEmpty()) << "it is taken in once";
  EXPECT_EQ(git(path(), {"log", "--format=%s", "detent/tasks"}), "QUEUE.md: edited by ann@example.org\nby hand\ntasks");
}

TEST_F(TaskBranchTest, AHandWrittenTaskThatIsKnownBeforeItsMergeHasOneSection) {
  auto branch = open();
  turn(*branch);
  edit(path(), "QUEUE.md", [](const std::string& text) { return text + "\n## Water the plants\n\nAll of them.\n"; });
  push();
  const auto edits = turn(*branch).edits;
  ASSERT_THAT(edits, SizeIs(1));
  const std::string id = edits[0].id.text();
  branch->edits_taken();
  branch->changed(task(id, QueueState::running), Millis{0});
  EXPECT_TRUE(turn(*branch).committed);
  const std::string queue = file("QUEUE.md");
  EXPECT_EQ(queue.find(id), queue.rfind(id)) << queue;
  EXPECT_THAT(queue, HasSubstr("- state: running"));
  EXPECT_THAT(branch->faults(), IsEmpty());
}

TEST_F(TaskBranchTest, AnotherCommitBeforeTheMergeMakesNoSecondTask) {
  auto branch = open();
  turn(*branch);
  edit(path(), "QUEUE.md", [](const std::string& text) { return text + "\n## Water the plants\n\nAll of them.\n"; });
  push();
  const auto edits = turn(*branch).edits;
  ASSERT_THAT(edits, SizeIs(1));
  edit(path(), "NOTES.md", [](const std::string&) { return "mine\n"; });
  push();
  branch->edits_taken();
  EXPECT_FALSE(branch->turn({system_now().mono, wall_})) << "the branch has moved on";
  const auto again = turn(*branch).edits;
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].id, edits[0].id);
}

TEST_F(TaskBranchTest, AFileOfOursThatAPersonRemovedIsWrittenAgain) {
  auto branch = open();
  branch->heartbeat("# Workers\n");
  turn(*branch);
  edit(path(), "NOTES.md", [](const std::string&) { return "mine\n"; });
  git(clone(), {"rm", "-q", "worker/HEARTBEAT.md"});
  git(clone(), {"-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "gone"});
  push();
  branch->heartbeat("# Workers, later\n");
  EXPECT_TRUE(turn(*branch).committed);
  EXPECT_EQ(file("HEARTBEAT.md"), "# Workers, later\n");
  EXPECT_EQ(file("NOTES.md"), "mine\n");
}

TEST_F(TaskBranchTest, EditsOfTheHubAndOurCommitsMeetInAMergeAndReachBothSides) {
  git(folder_ / ".", {"init", "-q", "--bare", hub().string()});
  auto branch = open(true);
  branch->changed(task(kFirst), Millis{0});
  const auto arrives = [&](const std::string& text) {
    return eventually([&] {
      turn(*branch);
      const auto shown = test::try_git(hub(), {"show", "detent/tasks:worker/QUEUE.md"});
      return shown.out.find(text) != std::string::npos;
    });
  };
  ASSERT_TRUE(arrives("queued"));
  edit(hub(), "QUEUE.md",
       [](const std::string& text) { return replaced(text, "- runner: shell", "- runner: shell\n- priority: 7"); });
  edit(
      hub(), "NOTES.md", [](const std::string&) { return "mine\n"; }, false);
  push();
  branch->changed(task(kFirst, QueueState::running), Millis{0});
  turn(*branch);  // ours goes another way meanwhile
  std::vector<HandEdit> edits;
  ASSERT_TRUE(eventually([&] { return !(edits = turn(*branch).edits).empty(); }));
  EXPECT_EQ(edits[0].kind, Kind::values_changed);
  EXPECT_EQ(edits[0].task.priority, 7);
  branch->edits_taken();
  ASSERT_TRUE(arrives("running"));
  EXPECT_THAT(file("QUEUE.md", hub()), HasSubstr("- priority: 7"));
  EXPECT_EQ(file("NOTES.md"), "mine\n") << "what else they changed stays";
  EXPECT_EQ(git(path(), {"rev-parse", "detent/tasks"}), git(hub(), {"rev-parse", "detent/tasks"}));
}

TEST_F(TaskBranchTest, ASectionDeletedWhileItRunsComesBackAsCancelledAndOneThatIsQueuedIsGone) {
  auto branch = open();
  branch->changed(task(kFirst, QueueState::running), Millis{0});
  branch->changed(task(kSecond), Millis{0});
  turn(*branch);
  edit(path(), "QUEUE.md", [](const std::string& text) { return text.substr(0, text.find("\n## ") + 1); });
  push();
  const auto edits = take(*branch);
  ASSERT_THAT(edits, SizeIs(2));
  EXPECT_EQ(edits[0].id.text(), kFirst);
  EXPECT_EQ(edits[0].kind, Kind::cancel);
  EXPECT_EQ(edits[1].kind, Kind::removed);
  EXPECT_THAT(file("QUEUE.md"), HasSubstr(kFirst));
  EXPECT_THAT(file("QUEUE.md"), Not(HasSubstr(kSecond)));
  branch->changed(task(kSecond, QueueState::cancelled), kNoon);
  turn(*branch);
  EXPECT_THAT(file("QUEUE.md"), Not(HasSubstr(kSecond))) << "and does not come back";
}

TEST_F(TaskBranchTest, ABadLineCostsItsTaskAloneAndIsNamed) {
  auto branch = open();
  branch->changed(task(kFirst), Millis{0});
  turn(*branch);
  edit(path(), "QUEUE.md", [](const std::string& text) {
    return text + "\n## Do this\n\n- priority: high\n\nNow.\n\n## And that\n\nLater.\n";
  });
  push();
  const auto edits = take(*branch);
  ASSERT_THAT(edits, SizeIs(1));
  EXPECT_EQ(edits[0].task.title, "And that");
  ASSERT_THAT(branch->faults(), SizeIs(1));
  EXPECT_THAT(describe(branch->faults()[0]), HasSubstr("QUEUE.md line"));
  EXPECT_THAT(file("QUEUE.md"), HasSubstr("## Do this\n\n- priority: high\n")) << "as it was written";
}

TEST_F(TaskBranchTest, ABranchThatWasMovedBackOrDeletedStandsAgainAtOurLastCommit) {
  auto branch = open();
  branch->changed(task(kFirst), Millis{0});
  turn(*branch);
  branch->changed(task(kSecond), Millis{0});
  turn(*branch);
  const std::string ours = git(path(), {"rev-parse", "detent/tasks"});
  git(path(), {"update-ref", "refs/heads/detent/tasks", ours + "~1"});
  turn(*branch);
  EXPECT_EQ(git(path(), {"rev-parse", "detent/tasks"}), ours);
  git(path(), {"update-ref", "-d", "refs/heads/detent/tasks"});
  turn(*branch);
  EXPECT_EQ(git(path(), {"rev-parse", "detent/tasks"}), ours);
}

TEST_F(TaskBranchTest, ALockThatAKilledProcessLeftIsBrokenAndNothingIsLost) {
  auto branch = open();
  turn(*branch);
  test::write_file(path() / "refs/heads/detent/tasks.lock", "");
  branch->changed(task(kFirst), Millis{0});
  const Millis from = system_now().mono;
  EXPECT_FALSE(branch->turn({from, wall_}));
  EXPECT_FALSE(branch->turn({from + Millis{6'000}, wall_}));
  EXPECT_TRUE(branch->turn({from + Millis{7'000}, wall_}));
  EXPECT_THAT(file("QUEUE.md"), HasSubstr(kFirst));
}

TEST_F(TaskBranchTest, ASecondWriterIsRefused) {
  auto branch = open();
  TaskBranch::Options options;
  options.repository = path();
  const auto second = TaskBranch::open(options, {Millis{0}, kNoon});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("another process"));
}

TEST_F(TaskBranchTest, TasksThatAreOverLeaveTheQueueForTheArchive) {
  auto branch = open();
  branch->changed(task(kFirst), Millis{0});
  turn(*branch);
  branch->changed(task(kFirst, QueueState::failed), kNoon - std::chrono::hours{24 * 8});
  turn(*branch);
  EXPECT_THAT(file("QUEUE.md"), Not(HasSubstr(kFirst)));
  EXPECT_THAT(git(path(), {"show", "detent/tasks:worker/ARCHIVE/" +
                                       utc(kNoon - std::chrono::hours{24 * 8}).substr(0, 7) + ".md"}),
              HasSubstr("## " + kFirst));
}

TEST_F(TaskBranchTest, OfMoreTasksThanAPersonReadsTheRestComesWhenOthersHaveLeft) {
  TaskBranch::Options options;
  options.repository = path();
  options.most_sections = 1;
  options.archive.max_finished = 0;
  auto branch = TaskBranch::open(options, {Millis{0}, kNoon}).value();
  branch->changed(task(kFirst), Millis{0});
  branch->changed(task(kSecond), Millis{0});
  turn(*branch);
  EXPECT_THAT(file("QUEUE.md"), Not(HasSubstr(kSecond)));
  branch->changed(task(kFirst, QueueState::succeeded), kNoon);
  turn(*branch);
  turn(*branch);
  EXPECT_THAT(file("QUEUE.md"), HasSubstr(kSecond));
}

}  // namespace
}  // namespace detent
