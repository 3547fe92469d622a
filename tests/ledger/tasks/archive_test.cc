#include "ledger/tasks/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Millis kNoon{1'795'348'800'000};  // 2026-11-22T12:00:00Z
constexpr std::chrono::hours kDay{24};

TEST(Archive, TakesWhatIsOldAndWhatIsTooMuch) {
  const std::vector<FinishedTask> finished = {
      {"c", kNoon}, {"a", kNoon - 8 * kDay}, {"b", kNoon - 7 * kDay}, {"d", kNoon}};
  EXPECT_THAT(tasks_to_archive(finished, kNoon, {7 * kDay, 100}), ElementsAre("a"));
  EXPECT_THAT(tasks_to_archive(finished, kNoon, {30 * kDay, 1}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(tasks_to_archive(finished, kNoon - kDay, {7 * kDay, 100}), IsEmpty());
}

TEST(Archive, KeepsWhatIsThereAndTakesATaskOnce) {
  EXPECT_EQ(archive_path(kNoon), "worker/ARCHIVE/2026-11.md");
  const QueueSection one{"## t-20261122-aaaa - One\n\n- state: succeeded\n\nText.\n\n\n"};
  const QueueSection two{"## t-20261122-bbbb - Two"};
  const std::string first = append_to_archive("", one, kNoon);
  EXPECT_EQ(first, "# Tasks that ended in 2026-11\n\n## t-20261122-aaaa - One\n\n- state: succeeded\n\nText.\n");
  EXPECT_EQ(append_to_archive(first, one, kNoon), first);
  const std::string second = append_to_archive(first, two, kNoon);
  EXPECT_EQ(second, first + "\n## t-20261122-bbbb - Two\n");
  EXPECT_EQ(append_to_archive(second, one, kNoon), second);
  EXPECT_EQ(append_to_archive("someone's note", two, kNoon), "someone's note\n\n## t-20261122-bbbb - Two\n");
}

}  // namespace
}  // namespace detent
