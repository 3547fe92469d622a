#include "base/log.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

namespace detent {
namespace {

/// What a program called `name` writes for `message`, in `format`.
std::string logged(const std::string& name, const std::string& format, const std::string& message) {
  const auto before = spdlog::default_logger();
  testing::internal::CaptureStderr();
  setup_log(name, format);
  spdlog::info("{}", message);
  spdlog::drop(name);
  spdlog::set_default_logger(before);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, EachLineIsJsonAndUtf8WhateverBytesComeIn) {
  std::mt19937 random{5};
  std::vector<std::string> messages = {
      "plain",        "\"quoted\" \\ \n\t",      "cut \xe2\x82", "\xff\xfe", std::string("a\0b", 3),
      "Grüße 日本 🚀", std::string(5'000, '\x1b')};
  for (int round = 0; round < 200; ++round) {
    std::string& bytes = messages.emplace_back(random() % 60, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
  }
  for (const std::string& message : messages) {
    const std::string line = logged("detent-test", "json", message);
    ASSERT_TRUE(line.ends_with('\n'));
    EXPECT_EQ(line.find('\n'), line.size() - 1) << testing::PrintToString(message);
    boost::system::error_code error;
    const auto value = boost::json::parse(line, error);  // refuses what is not UTF-8
    ASSERT_FALSE(error) << error.message() << ": " << testing::PrintToString(message);
    EXPECT_EQ(value.at("program").as_string(), "detent-test");
    EXPECT_EQ(value.at("level").as_string(), "info");
    EXPECT_TRUE(value.at("message").is_string());
  }
}

TEST(Log, TheMessageReadsBackFromJsonAsItWas) {
  const std::string message = "a \"b\" \\ c\nd\te 日本";
  EXPECT_EQ(boost::json::parse(logged("detent-test", "json", message)).at("message").as_string(), message);
}

TEST(Log, TextNamesLevelAndProgram) {
  EXPECT_TRUE(logged("detent-test", "text", "a message").ends_with(" info    detent-test: a message\n"));
}

}  // namespace
}  // namespace detent
