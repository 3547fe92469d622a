#include "base/base64.h"

#include <gtest/gtest.h>

#include <random>

namespace detent {
namespace {

std::string base64(std::string_view bytes) {
  std::string out = "before ";
  append_base64(out, bytes);
  return out.substr(7);
}

TEST(Base64, ReadsBackForEveryLength) {
  std::mt19937 random{1};
  std::string bytes;
  for (int length = 0; length < 100; ++length, bytes.push_back(static_cast<char>(random()))) {
    EXPECT_EQ(from_base64(base64(bytes)), bytes);
  }
  EXPECT_EQ(base64("Man"), "TWFu");
  EXPECT_EQ(base64("Ma"), "TWE=");
  EXPECT_EQ(base64("M"), "TQ==");
}

TEST(Base64, AnyOtherFormIsRefused) {
  for (const std::string_view text : {"TWE", "TWF=", "TQ=", "T===", "TW E", "TR==", "TWFu\n", "TQ==TQ==", "-_-_"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

}  // namespace
}  // namespace detent
