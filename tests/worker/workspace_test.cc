#include "worker/workspace.h"

#include <gmock/gmock.h>
#include <poll.h>

#include <fstream>
#include <iterator>

#include "tests/worker/attempt_fixture.h"
#include "worker/folder.h"

namespace detent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class WorkspaceOfARunner : public testing::Test {
 protected:
  WorkspaceOfARunner() { fs::create_directories(origin()); }
  ~WorkspaceOfARunner() override { static_cast<void>(remove_folder(folder_)); }

  fs::path origin() const { return folder_ / "origin"; }
  fs::path root() const { return folder_ / "workspaces/agent"; }

  /// Runs a script in the origin, with git told who commits.
  void in_origin(const std::string& script) { in(origin(), script); }
  void in(const fs::path& where, const std::string& script) {
    auto child = Child::start({.command = {"sh", "-ec", script},
                               .environment = {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                                               {"GIT_AUTHOR_NAME", "a"},
                                               {"GIT_AUTHOR_EMAIL", "a@localhost"},
                                               {"GIT_COMMITTER_NAME", "a"},
                                               {"GIT_COMMITTER_EMAIL", "a@localhost"}},
                               .folder = where},
                              system_now().mono);
    ASSERT_TRUE(child);
    const auto exit = child->wait();
    ASSERT_EQ(exit.code, 0) << exit.out << exit.err;
    said_ = exit.out;
  }
  void begin() {
    in_origin("git init -q -b main; echo one > file; mkdir sub; echo s > sub/file; git add .; git commit -qm one");
  }
  static Result<> finish(Checkout& checkout) {
    for (;;) {
      if (auto done = checkout.poll(system_now().mono)) return std::move(*done);
      std::vector<pollfd> waits;
      for (const int each : checkout.descriptors()) waits.push_back({each, POLLIN, 0});
      poll(waits.data(), waits.size(), 200);
    }
  }
  static std::string content(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path folder_ = make_test_folder();
  std::string said_;
};

TEST_F(WorkspaceOfARunner, IsACleanCheckoutOfWhatTheRepositoryHasNow) {
  begin();
  Workspace workspace(root(), origin().string(), "");
  {
    auto checkout = workspace.checkout();
    const auto done = finish(checkout);
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(content(checkout.folder() / "file"), "one\n");
    EXPECT_EQ(checkout.commit().size(), 40u);
    EXPECT_EQ(checkout.note(), "");
    in(checkout.folder(), "git log --oneline; git status --short --branch");
    EXPECT_THAT(said_, HasSubstr("one\n## main"));
    // What an attempt may leave: changes, commits, files, ignored ones too, folders that nobody may enter.
    in(checkout.folder(),
       "echo mine > file; git commit -qam mine; rm -rf sub; echo x > new; echo '*' > .gitignore; mkdir -p a/b; "
       "echo y > a/b/c; git init -q nested; ln -s / link");
  }
  in_origin("echo two > file; git commit -qam two");
  auto checkout = workspace.checkout();
  const auto done = finish(checkout);
  ASSERT_TRUE(done) << done.error().what;
  EXPECT_EQ(content(checkout.folder() / "file"), "two\n");
  in(checkout.folder(), "git status --short --branch; ls -A; git log --format=%s");
  EXPECT_EQ(said_, "## main\n.git\nfile\nsub\ntwo\none\n");
}

TEST_F(WorkspaceOfARunner, IsWarmFilesThatDidNotChangeAreNotWrittenAgain) {
  begin();
  Workspace workspace(root(), origin().string(), "main");
  fs::file_time_type before;
  {
    auto checkout = workspace.checkout();
    ASSERT_TRUE(finish(checkout));
    before = fs::last_write_time(checkout.folder() / "sub/file");
  }
  in_origin("echo two > file; git commit -qam two");
  auto checkout = workspace.checkout();
  ASSERT_TRUE(finish(checkout));
  EXPECT_EQ(content(checkout.folder() / "file"), "two\n");
  EXPECT_EQ(fs::last_write_time(checkout.folder() / "sub/file"), before);
}

TEST_F(WorkspaceOfARunner, TwoAtOnceHaveOneEach) {
  begin();
  Workspace workspace(root(), origin().string(), "main");
  auto first = workspace.checkout();
  auto second = workspace.checkout();
  EXPECT_FALSE(first.poll(system_now().mono));
  EXPECT_FALSE(second.poll(system_now().mono));
  EXPECT_TRUE(second.descriptors().empty());  // waits for the other's fetch
  const auto one = finish(first);
  ASSERT_TRUE(one) << one.error().what;
  const auto two = finish(second);
  ASSERT_TRUE(two) << two.error().what;
  EXPECT_NE(first.folder(), second.folder());
  in(first.folder(), "echo mine > file");
  EXPECT_EQ(content(second.folder() / "file"), "one\n");
  const fs::path freed = first.folder();
  first = std::move(second);  // the first is given back
  auto third = workspace.checkout();
  ASSERT_TRUE(finish(third));
  EXPECT_EQ(third.folder(), freed);
  EXPECT_EQ(content(third.folder() / "file"), "one\n");
}

TEST_F(WorkspaceOfARunner, WhatAnAttemptPutIntoItsGitIsNeverRunByTheWorker) {
  begin();
  Workspace workspace(root(), origin().string(), "main");
  const fs::path trap = folder_ / "sprung";
  {
    auto checkout = workspace.checkout();
    ASSERT_TRUE(finish(checkout));
    in(checkout.folder(),
       "for h in post-checkout pre-commit reference-transaction; do printf '#!/bin/sh\\ntouch " + trap.string() +
           "\\n' > .git/hooks/$h; chmod +x .git/hooks/$h; done; git config core.fsmonitor 'touch " + trap.string() +
           "'; git config filter.x.smudge 'touch " + trap.string() + "'; echo '* filter=x' > .gitattributes; rm file");
    fs::remove(trap);
  }
  in_origin("echo two > file; git commit -qam two");
  auto checkout = workspace.checkout();
  ASSERT_TRUE(finish(checkout));
  EXPECT_EQ(content(checkout.folder() / "file"), "two\n");
  EXPECT_FALSE(fs::exists(trap));
}

TEST_F(WorkspaceOfARunner, ADamagedOneIsMadeAnew) {
  begin();
  Workspace workspace(root(), origin().string(), "main");
  {
    auto checkout = workspace.checkout();
    ASSERT_TRUE(finish(checkout));
    std::ofstream(root() / "1.git/index") << "not an index";
  }
  auto checkout = workspace.checkout();
  const auto done = finish(checkout);
  ASSERT_TRUE(done) << done.error().what;
  EXPECT_EQ(content(checkout.folder() / "file"), "one\n");
}

TEST_F(WorkspaceOfARunner, IsAsOfItsLastFetchWhereItsRepositoryCannotBeReached) {
  begin();
  for (const char* branch : {"main", ""}) {
    Workspace workspace(root(), origin().string(), branch);
    {
      auto checkout = workspace.checkout();
      ASSERT_TRUE(finish(checkout));
    }
    fs::rename(origin(), folder_ / "away");
    auto checkout = workspace.checkout();
    const auto done = finish(checkout);
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(content(checkout.folder() / "file"), "one\n");
    EXPECT_THAT(checkout.note(), HasSubstr("is as of its last fetch: fatal: "));
    fs::rename(folder_ / "away", origin());
  }
}

TEST_F(WorkspaceOfARunner, AnErrorIsOneLineWithoutCredentials) {
  Workspace nowhere(root(), (folder_ / "nowhere").string(), "");
  auto missing = nowhere.checkout();
  const auto done = finish(missing);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().what, HasSubstr("workspace " + (folder_ / "nowhere").string() + ": fatal: "));
  EXPECT_THAT(done.error().what, Not(HasSubstr("\n")));
  Workspace refused(root(), "https://user:hunter2@127.0.0.1:1/x.git", "main");
  auto checkout = refused.checkout();
  const auto second = finish(checkout);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("127.0.0.1"));
  EXPECT_THAT(second.error().what, Not(HasSubstr("hunter2")));
  begin();
  Workspace workspace(folder_ / "other", origin().string(), "no-such-branch");
  auto third = workspace.checkout();
  const auto last = finish(third);
  ASSERT_FALSE(last);
  EXPECT_THAT(last.error().what, HasSubstr("no-such-branch"));
}

class WorkspaceOfAnAttempt : public AttemptFixture {};

TEST_P(WorkspaceOfAnAttempt, GitWorksInIt) {
  const fs::path origin = folder() / "origin";
  fs::create_directories(origin);
  auto setup = Child::start(
      {.command = {"sh", "-ec",
                   "git init -q -b main; echo 1 > f; git add .; git -c user.name=a -c user.email=a@b commit -qm first"},
       .folder = origin},
      system_now().mono);
  ASSERT_EQ(setup->wait().code, 0);
  Workspace workspace(isolation_->folder() / "workspaces/agent", origin.string(), "");
  auto checkout = workspace.checkout();
  for (;;) {
    const auto done = checkout.poll(system_now().mono);
    if (done) {
      ASSERT_TRUE(*done) << done->error().what;
      break;
    }
    std::vector<pollfd> waits;
    for (const int each : checkout.descriptors()) waits.push_back({each, POLLIN, 0});
    poll(waits.data(), waits.size(), 200);
  }
  const auto outcome =
      run(shell("git log --format=%s; echo 2 > f; git -c user.name=a -c user.email=a@b commit -qam second && git log "
                "--oneline | wc -l"),
          {.task = "task", .epoch = 1, .workspace = checkout.folder(), .readable = {checkout.readable()}});
  EXPECT_EQ(outcome.text, "first\n2\n") << outcome.error;
}

INSTANTIATE_TEST_SUITE_P(Isolation, WorkspaceOfAnAttempt, testing::Values("none", "bwrap"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace detent
