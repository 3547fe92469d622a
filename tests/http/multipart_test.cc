#include "http/multipart.h"

#include <gtest/gtest.h>

#include "http/url.h"

namespace detent::http {
namespace {

TEST(Multipart, ComesBackAsItWentIn) {
  const std::string bytes("\0\r\n--detent-\xff\r\n", 15);
  const Multipart built =
      multipart({{.name = "payload_json", .body = "{}", .content_type = "application/json"},
                 {.name = "files[0]", .body = bytes, .filename = "a \"b\".txt", .content_type = "text/plain"},
                 {.name = "empty", .body = ""}});
  const auto parts = parse_multipart(built.content_type, built.body);
  ASSERT_TRUE(parts) << parts.error().what;
  ASSERT_EQ(parts->size(), 3u);
  EXPECT_EQ((*parts)[0].name, "payload_json");
  EXPECT_EQ((*parts)[0].content_type, "application/json");
  EXPECT_EQ((*parts)[1].body, bytes);
  EXPECT_EQ((*parts)[1].filename, "a %22b%22.txt");
  EXPECT_EQ((*parts)[2].body, "");
}

TEST(Multipart, ReadsWhatOtherClientsWrite) {
  const auto parts = parse_multipart("multipart/form-data; charset=utf-8; boundary=\"x y\"",
                                     "preamble\r\n--x y\r\ncontent-disposition: form-data; filename=\"a\\\"b;c\"; "
                                     "name=document\r\n\r\nabc\r\n--x y--\r\nafter");
  ASSERT_TRUE(parts) << parts.error().what;
  ASSERT_EQ(parts->size(), 1u);
  EXPECT_EQ((*parts)[0].name, "document");
  EXPECT_EQ((*parts)[0].filename, "a\"b;c");
  EXPECT_EQ((*parts)[0].body, "abc");
}

TEST(Multipart, RefusesBrokenBodies) {
  const std::string type = "multipart/form-data; boundary=x";
  for (const char* body : {"", "--x", "--x\r\n", "--x\r\nno colon\r\n\r\nv\r\n--x--", "--x\r\n\r\nv\r\n--x--",
                           "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nv"}) {
    EXPECT_FALSE(parse_multipart(type, body)) << body;
  }
  EXPECT_FALSE(parse_multipart("application/json", "{}"));
  EXPECT_FALSE(parse_multipart("multipart/form-data", "--x--"));
  const Multipart many = multipart(std::vector<Part>(5, Part{.name = "a", .body = "b"}));
  EXPECT_FALSE(parse_multipart(many.content_type, many.body, 4));
}

TEST(Url, PercentEncodingRoundTrips) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += char(byte);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a b/ü"), "a%20b%2F%C3%BC");
  EXPECT_EQ(percent_decode("100%"), "100%");
  EXPECT_EQ(percent_decode("%zz+"), "%zz+");
}

TEST(Url, QueriesAreReadInOrder) {
  EXPECT_EQ(parse_query("a=1&&b=x+y%26z&c"), (Headers{{"a", "1"}, {"b", "x y&z"}, {"c", ""}}));
}

}  // namespace
}  // namespace detent::http
