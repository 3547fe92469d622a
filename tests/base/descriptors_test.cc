#include "base/descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

namespace detent {
namespace {

/// Descriptors that others have taken, all that there were.
class UsedUp : public testing::Test {
 protected:
  UsedUp() {
    ::close(open_file("/dev/null", O_RDONLY));  // the reserve is laid in with the first file
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit less = before_;
    less.rlim_cur = 256;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &less), 0);
    take_all();
  }
  ~UsedUp() override {
    for (const int fd : taken_) ::close(fd);
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  void take_all() {
    for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken_.push_back(fd);
    EXPECT_EQ(errno, EMFILE);
  }
  void give_back(size_t count) {
    for (; count > 0; --count) {
      ::close(taken_.back());
      taken_.pop_back();
    }
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

TEST_F(UsedUp, FilesAreStillOpenedFromTheReserveUntilThatIsUsedUpToo) {
  std::vector<int> files;
  for (int fd; (fd = open_file("/dev/null", O_RDONLY)) >= 0;) files.push_back(fd);
  EXPECT_EQ(errno, EMFILE);
  EXPECT_EQ(files.size(), 16u);
  for (const int fd : files) ::close(fd);
}

TEST_F(UsedUp, TheReserveIsLaidInAgainOnceThereIsRoom) {
  for (int round = 0; round < 3; ++round) {
    const int file = open_file("/dev/null", O_RDONLY);
    ASSERT_GE(file, 0) << round;
    give_back(2);
    ::close(open_file("/dev/null", O_RDONLY));  // sees that there is room
    take_all();
    const int again = open_file("/dev/null", O_RDONLY);
    EXPECT_GE(again, 0) << round;
    ::close(again);
    ::close(file);
    ::close(open_file("/dev/null", O_RDONLY));
    take_all();
  }
}

TEST(DescriptorLimit, IsRaisedAsFarAsTheSystemAllows) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(raise_descriptor_limit(), before.rlim_max);
  rlimit after{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace detent
