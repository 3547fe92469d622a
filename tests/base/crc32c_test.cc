#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace detent {
namespace {

TEST(Crc32c, GivesThePublishedValues) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32c, IsTheSameByInstructionAndByTableAtEveryLengthAndSplit) {
  std::mt19937_64 dice(1);
  std::string bytes(20'000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(dice());
  for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 7) {
    const std::uint32_t whole = crc32c_by_table(0, bytes.data(), length);
    ASSERT_EQ(crc32c(0, bytes.data(), length), whole) << length;
    const std::size_t split = length == 0 ? 0 : dice() % length;
    ASSERT_EQ(crc32c(crc32c(0, bytes.data(), split), bytes.data() + split, length - split), whole) << length;
  }
}

}  // namespace
}  // namespace detent
