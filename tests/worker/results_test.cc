#include "worker/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/memory_disk.h"

namespace detent {
namespace {

using test::Cut;
using test::MemoryDisk;
using testing::ElementsAre;
using testing::IsEmpty;
using Key = Results::Key;

TEST(Results, WaitUntilTheyAreAcknowledged) {
  MemoryDisk disk;
  auto results = Results::open(disk, "/results").value();
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(results.keep({"task", 2}, bytes));
  ASSERT_TRUE(results.keep({"task", 1}, "old"));
  ASSERT_TRUE(results.keep({"task", 2}, bytes + "!"));
  const auto again = Results::open(disk, "/results").value();
  EXPECT_THAT(again.waiting(), ElementsAre(Key{"task", 1}, Key{"task", 2}));
  EXPECT_EQ(again.read({"task", 2}).value(), bytes + "!");
  ASSERT_TRUE(results.acknowledged({"task", 2}));
  ASSERT_TRUE(results.acknowledged({"task", 2}));
  EXPECT_THAT(results.waiting(), ElementsAre(Key{"task", 1}));
  EXPECT_THAT(Results::open(disk, "/results").value().waiting(), ElementsAre(Key{"task", 1}));
  EXPECT_FALSE(results.read({"task", 2}));
}

TEST(Results, RefuseATaskWhoseIdIsNoPlainName) {
  MemoryDisk disk;
  auto results = Results::open(disk, "/results").value();
  EXPECT_FALSE(results.keep({"../x", 1}, "x"));
  EXPECT_THAT(results.waiting(), IsEmpty());
}

TEST(Results, LeaveAloneWhatIsNotTheirs) {
  MemoryDisk disk;
  ASSERT_TRUE(disk.make_directory("/results"));
  for (const char* name : {"notes", "a.result", "a.1x.result", "a.01.result", "a b.1.result"})
    ASSERT_TRUE(replace_file(disk, std::string("/results/") + name, "x"));
  EXPECT_THAT(Results::open(disk, "/results").value().waiting(), IsEmpty());
  EXPECT_TRUE(disk.exists("/results/notes"));
}

TEST(Results, WhatWasKeptSurvivesAPowerCutWhereverItComes) {
  for (const Cut cut : {Cut::kKeep, Cut::kDrop, Cut::kTear}) {
    for (uint64_t at = 1;; ++at) {
      MemoryDisk disk;
      disk.cut_power_at(at);
      bool kept = false, replaced = false;
      if (auto results = Results::open(disk, "/results")) {
        kept = results->keep({"task", 1}, "first").has_value();
        replaced = kept && results->keep({"task", 1}, "second").has_value();
      }
      const bool finished = !disk.is_off();
      disk.power_on(cut, at);
      const auto results = Results::open(disk, "/results");
      ASSERT_TRUE(results) << results.error().what;
      if (kept) {
        EXPECT_THAT(results->waiting(), ElementsAre(Key{"task", 1}));
      }
      for (const Key& key : results->waiting()) {
        const auto bytes = results->read(key);
        ASSERT_TRUE(bytes);
        EXPECT_TRUE(*bytes == "second" || (*bytes == "first" && !replaced)) << *bytes;
      }
      if (finished) break;
    }
  }
}

TEST(Results, AFullDiskIsAnErrorAndTheResultCanBeKeptLater) {
  MemoryDisk disk;
  auto results = Results::open(disk, "/results").value();
  disk.fail_when([](test::Call call, const std::string&) { return call == test::Call::kWrite ? ENOSPC : 0; });
  const auto kept = results.keep({"task", 1}, "text");
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ENOSPC);
  EXPECT_THAT(results.waiting(), IsEmpty());
  disk.heal();
  EXPECT_TRUE(results.keep({"task", 1}, "text"));
  EXPECT_EQ(Results::open(disk, "/results").value().read({"task", 1}).value(), "text");
}

}  // namespace
}  // namespace detent
