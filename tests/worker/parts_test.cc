// Parts that need no process of their own.
#include <gmock/gmock.h>

#include "tests/worker/attempt_fixture.h"
#include "worker/folder.h"

namespace detent {
namespace {

using testing::ElementsAre;

TEST(CgroupFolder, IsFoundInEachLayout) {
  constexpr const char* kUnified =
      "22 1 0:21 / /proc rw - proc proc rw\n29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(cgroup_folder(kUnified, "0::/system.slice/detent-worker.service\n"),
            "/sys/fs/cgroup/system.slice/detent-worker.service");
  constexpr const char* kHybrid =
      "30 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 29 0:28 / /sys/fs/cgroup/unified rw - "
      "cgroup2 none rw\n";
  EXPECT_EQ(cgroup_folder(kHybrid, "4:memory:/a\n0::/\n"), "/sys/fs/cgroup/unified/");
  constexpr const char* kContainer = "29 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  EXPECT_EQ(cgroup_folder(kContainer, "0::/docker/abc/leaf\n"), "/sys/fs/cgroup/leaf");
  EXPECT_EQ(cgroup_folder(kContainer, "0::/docker/abcd\n"), std::nullopt);
  EXPECT_EQ(cgroup_folder("30 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "0::/\n"), std::nullopt);
  EXPECT_EQ(cgroup_folder(kUnified, "4:memory:/a\n"), std::nullopt);
}

TEST(GuardOrder, SurvivesItsCommandLine) {
  const GuardOrder order{.command = {"sh", "-c", "--", ""},
                         .cgroup = "/sys/fs/cgroup/a b",
                         .rlimits = {.memory = 1, .pids = 2, .cpu = 0.25, .disk = 4},
                         .time = Millis{5},
                         .in_bwrap = true,
                         .folder = "/f=1",
                         .workspace = "/w"};
  const auto line = order.command_line("/guard");
  std::vector<const char*> arguments;
  for (const auto& each : line) arguments.push_back(each.c_str());
  const auto again = GuardOrder::parse(static_cast<int>(arguments.size()), arguments.data());
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(*again, order);
}

TEST(GuardOrder, RefusesWhatItDoesNotKnow) {
  const char* unknown[] = {"guard", "--memory=1x", "--", "true"};
  EXPECT_FALSE(GuardOrder::parse(4, unknown));
  const char* nothing[] = {"guard"};
  EXPECT_FALSE(GuardOrder::parse(1, nothing));
}

TEST(GuardReport, SurvivesItsLine) {
  using Kind = GuardReport::Kind;
  for (const GuardReport& report : {GuardReport{.kind = Kind::started, .pid = 4711},
                                    GuardReport{.kind = Kind::failed, .error = 2, .what = "no such thing"},
                                    GuardReport{.kind = Kind::ended,
                                    .code = 137,
                                    .signal = 9,
                                    .peak_memory = 1ull << 40,
                                    .cpu_ms = 5,
                                    .leftovers = 6,
                                    .immortal = 7,
                                    .reason = GuardReport::Reason::disk}})
    EXPECT_EQ(GuardReport::parse(report.line()), report) << report.line();
  for (const char* wrong : {"", "ended", "ended 1 2 3 4 5 6 99", "started x", "hello 1"})
    EXPECT_EQ(GuardReport::parse(wrong), std::nullopt) << wrong;
}

TEST(AttemptRecord, SurvivesItsText) {
  const AttemptRecord record{.boot = "b-1", .guard = 5, .started = 6, .cgroup = "/sys/fs/cgroup/with a space"};
  EXPECT_EQ(AttemptRecord::parse(record.text()), record);
  EXPECT_EQ(AttemptRecord::parse(""), std::nullopt);
  EXPECT_EQ(AttemptRecord::parse("boot b\nguard x"), std::nullopt);
}

TEST(Output, SplitsLinesWhereverThePiecesAreCut) {
  std::vector<std::string> lines;
  Output output(10, 20, [&](Child::Stream, std::string_view line) { lines.emplace_back(line); });
  for (const char* piece : {"a", "b\nc", "\n\n", "d"}) output.add(Child::Stream::out, piece, Millis{0});
  output.add(Child::Stream::err, "e\n", Millis{0});
  output.end();
  EXPECT_THAT(lines, ElementsAre("ab", "c", "", "e", "d"));
  EXPECT_EQ(output.out().tail, "ab\nc\n\nd");
  EXPECT_EQ(output.tail(), "ab\nc\n\nde\n");
  EXPECT_EQ(output.out().bytes, 7u);
}

TEST(Output, KeepsTheEndAndSaysWhatWasTooFast) {
  std::vector<std::string> lines;
  Output output(4, 6, [&](Child::Stream, std::string_view line) { lines.emplace_back(line); });
  for (int i = 0; i < 2'000; ++i) output.add(Child::Stream::out, "0123456789\n", Millis{0});
  EXPECT_LT(lines.size(), 1'000u);
  const auto shown = lines.size();
  output.add(Child::Stream::out, "later\n", Millis{1'000});
  ASSERT_EQ(lines.size(), shown + 2);
  EXPECT_EQ(lines[shown], "… " + std::to_string(2'000 - shown) + " lines came too fast to be shown");
  EXPECT_EQ(output.out().tail, "ter\n");
  EXPECT_EQ(output.tail(), "later\n");
}

TEST(Output, ALongLineIsCutBetweenCharacters) {
  std::vector<std::string> lines;
  Output output(4, 6, [&](Child::Stream, std::string_view line) { lines.emplace_back(line); });
  std::string text = "x";
  while (text.size() < 10'000) text += "ä";
  output.add(Child::Stream::out, text + "\nnext\n", Millis{0});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LT(lines[0].size(), 4'200u);
  EXPECT_TRUE(lines[0].ends_with("ä…"));
  EXPECT_EQ(lines[1], "next");
}

TEST(Folder, IsRemovedAlsoWhereItsRightsWereTakenAway) {
  const auto folder = make_test_folder();
  std::filesystem::create_directories(folder / "a" / "b");
  std::filesystem::create_directory_symlink("/", folder / "a" / "link");
  std::filesystem::permissions(folder / "a" / "b", std::filesystem::perms::none);
  EXPECT_TRUE(remove_folder(folder));
  EXPECT_FALSE(std::filesystem::exists(folder));
  EXPECT_TRUE(remove_folder(folder));
}

TEST(Processes, KnowsItsOwn) {
  const auto own = process(getpid());
  ASSERT_TRUE(own);
  EXPECT_TRUE(own->alive());
  EXPECT_EQ(own->parent, getppid());
  EXPECT_GT(own->resident, 0u);
  EXPECT_GT(proportional_size(*own), 0u);
  EXPECT_EQ(process(1 << 30), std::nullopt);
  EXPECT_FALSE(boot_id().empty());
}

}  // namespace
}  // namespace detent
