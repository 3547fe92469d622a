#include "ledger/tasks/result_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Millis kNoon{1'795'348'800'000};  // 2026-11-22T12:00:00Z

TEST(ResultFolder, AResultIsNamedByItsTask) {
  EXPECT_EQ(result_path("t-20260219-k3f9"), "worker/RESULTS/t-20260219-k3f9.md");
  EXPECT_EQ(stale_result_path("t-20260219-k3f9", 2), "worker/RESULTS/t-20260219-k3f9.stale-2.md");
  EXPECT_EQ(parse_result_name("t-20260219-k3f9.md"), (ResultName{"t-20260219-k3f9", std::nullopt}));
  EXPECT_EQ(parse_result_name("t-20260219-k3f9.stale-2.md"), (ResultName{"t-20260219-k3f9", 2}));
  for (const char* name : {"", ".md", "README.md", "t-20260219-k3f9", "t-20260219-k3f9.stale-.md",
                           "t-20260219-k3f9.stale-2x.md", "../t-20260219-k3f9.md", "01jdz8q6m3t5v7w9x1y3z5a7b9.md"})
    EXPECT_EQ(parse_result_name(name), std::nullopt) << name;
}

TEST(ResultFolder, TheOldestMoveToTheirMonthsFolder) {
  const std::vector<PresentResult> flat = {{"t-20261122-bbbb.md", kNoon},
                                           {"README.md", Millis{0}},
                                           {"t-20261031-aaaa.stale-1.md", kNoon - std::chrono::hours{24 * 22}},
                                           {"t-20261122-aaaa.md", kNoon},
                                           {"t-20261121-aaaa.md", kNoon - std::chrono::hours{24}}};
  EXPECT_THAT(
      results_to_move(flat, 2),
      ElementsAre(
          ResultMove{"worker/RESULTS/t-20261031-aaaa.stale-1.md", "worker/RESULTS/2026-10/t-20261031-aaaa.stale-1.md"},
          ResultMove{"worker/RESULTS/t-20261121-aaaa.md", "worker/RESULTS/2026-11/t-20261121-aaaa.md"}));
  EXPECT_THAT(results_to_move(flat, 4), IsEmpty());
  EXPECT_THAT(results_to_move(flat), IsEmpty());
}

}  // namespace
}  // namespace detent
