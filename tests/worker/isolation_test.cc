// What is found at the start, and said of it.
#include "worker/isolation.h"

#include <gmock/gmock.h>

#include "base/units.h"
#include "tests/worker/attempt_fixture.h"

namespace detent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

TEST(IsolationProbe, KeepsItsFolderForOneWorker) {
  const fs::path folder = make_test_folder();
  WorkerConfig config;
  config.folder = folder / "worker";
  config.isolation = "none";
  {
    const auto first = Isolation::probe(config);
    ASSERT_TRUE(first) << first.error().what;
    const auto second = Isolation::probe(config);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().what, HasSubstr("another worker runs with the folder"));
  }
  EXPECT_TRUE(Isolation::probe(config));
  fs::remove_all(folder);
}

TEST(DoesNotFit, SaysThatTheConcurrencyIsTooMuchForTheMachine) {
  WorkerConfig config;
  config.concurrency = 2;
  config.runners["small"].memory = 100 * kMiB;
  config.runners["openclaw"].memory = 1536 * kMiB;
  EXPECT_FALSE(does_not_fit(config, 4096 * kMiB));
  EXPECT_EQ(
      does_not_fit(config, 2048 * kMiB).value_or(""),
      "[worker] concurrency = 2 does not fit this machine: so many attempts of runner openclaw, of up to 1 GiB each, "
      "need 3 GiB, and there is 2 GiB");
}

TEST(IsolationProbe, SaysInOneLineWhatIsWeakerAndWhy) {
  const fs::path folder = make_test_folder();
  WorkerConfig config;
  config.folder = folder / "worker";
  config.isolation = "none";
  {
    const auto isolation = Isolation::probe(config);
    ASSERT_TRUE(isolation) << isolation.error().what;
    EXPECT_TRUE(isolation->weak());
    EXPECT_EQ(
        isolation->summary(),
        "isolation: no bwrap; memory, processes, CPU are limited by rlimits of each process and a look at all ten "
        "times a second, which is weaker (isolation = \"none\"); attempts see and can write what the worker can, "
        "its other processes included (bwrap: isolation = \"none\")");
  }
  config.isolation = "auto";
  {
    const auto isolation = Isolation::probe(config);
    ASSERT_TRUE(isolation) << isolation.error().what;
    const auto summary = isolation->summary();
    EXPECT_THAT(summary, Not(HasSubstr("\n")));
    EXPECT_EQ(isolation->weak(), summary.find("; ") != std::string::npos) << summary;
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace detent
