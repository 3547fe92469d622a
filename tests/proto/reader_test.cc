#include "proto/reader.h"

#include <gtest/gtest.h>

namespace detent {
namespace {

TEST(Reader, TakesWhatEncodersWrite) {
  std::string bytes;
  wire::number(bytes, 1, 300);
  wire::bytes(bytes, 2000, "text");
  Reader reader(bytes);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.number(), 300U);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field(), 2000U);
  EXPECT_EQ(reader.bytes(), "text");
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.ok());
}

TEST(Reader, RefusesATagOrALengthOfMoreThanFiveBytesAsProtobufDoes) {
  for (const std::string_view bytes : {std::string_view("\x88\x80\x80\x80\x80\x00\x01", 7),      // field 1: 1
                                       std::string_view("\x0a\x81\x80\x80\x80\x80\x00x", 8)}) {  // field 1: "x"
    Reader reader(bytes);
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.ok());
  }
}

}  // namespace
}  // namespace detent
