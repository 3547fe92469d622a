#include <gtest/gtest.h>

#include "consumers/discord/rate_limits.h"

namespace detent::discord {
namespace {

http::Response answer(int status, const http::Headers& headers, const std::string& body = "{}") {
  return {status, headers, body};
}
http::Headers bucket(const std::string& hash, int remaining, const std::string& reset_after) {
  return {{"X-RateLimit-Bucket", hash},
          {"x-ratelimit-remaining", std::to_string(remaining)},
          {"X-RateLimit-Reset-After", reset_after}};
}

const Lane kOne{"POST messages", "1"}, kTwo{"POST messages", "2"};
constexpr Millis kStart{100'000};

TEST(RateLimits, AnEmptyBucketWaitsForItsResetAndAMargin) {
  RateLimits limits({.per_second = 50});
  limits.sent(kOne, kStart);
  limits.answered(kOne, answer(200, bucket("h", 0, "1.25")), kStart);
  EXPECT_EQ(limits.wait(kOne, kStart), Millis{1300});
  EXPECT_EQ(limits.wait(kOne, kStart + Millis{1300}), Millis{0});
}

TEST(RateLimits, ABucketIsOneChannels) {
  RateLimits limits({.per_second = 50});
  limits.answered(kOne, answer(200, bucket("h", 0, "1")), kStart);
  EXPECT_EQ(limits.wait(kTwo, kStart), Millis{0});
}

TEST(RateLimits, RoutesOfOneHashShareABucket) {
  RateLimits limits({.per_second = 50});
  const Lane other{"PATCH message", "1"};
  limits.answered(other, answer(200, bucket("h", 5, "1")), kStart);
  limits.answered(kOne, answer(200, bucket("h", 0, "1")), kStart);
  EXPECT_GT(limits.wait(other, kStart), Millis{0});
}

TEST(RateLimits, CountsDownBetweenAnswers) {
  RateLimits limits({.per_second = 50});
  limits.answered(kOne, answer(200, bucket("h", 2, "5")), kStart);
  limits.sent(kOne, kStart);
  EXPECT_EQ(limits.wait(kOne, kStart), Millis{0});
  limits.sent(kOne, kStart);
  EXPECT_EQ(limits.wait(kOne, kStart), Millis{5050});
}

TEST(RateLimits, TheShareOfTheGlobalLimitHoldsOverAllChannels) {
  RateLimits limits({.per_second = 2});
  limits.sent(kOne, kStart);
  limits.sent(kTwo, kStart + Millis{100});
  EXPECT_EQ(limits.wait({"GET channel", "3"}, kStart + Millis{200}), Millis{800});
  EXPECT_EQ(limits.wait(kOne, kStart + Millis{1000}), Millis{0});
}

TEST(RateLimits, AGlobal429StopsEverything) {
  RateLimits limits({.per_second = 50});
  EXPECT_EQ(limits.answered(kOne, answer(429, {{"X-RateLimit-Global", "true"}}, R"({"retry_after":2.0,"global":true})"),
                            kStart),
            Millis{2050});
  EXPECT_EQ(limits.wait(kTwo, kStart), Millis{2050});
}

TEST(RateLimits, ASubLimitStopsOnlyItsRequest) {
  RateLimits limits({.per_second = 50});
  EXPECT_EQ(limits.answered(kOne, answer(429, bucket("h", 3, "1"), R"({"retry_after":40,"global":false})"), kStart),
            Millis{40'050});
  EXPECT_EQ(limits.wait(kOne, kStart), Millis{0});
}

TEST(RateLimits, A429OfTheNetworkBeforeTheApiStopsEverything) {
  RateLimits limits({.per_second = 50});
  limits.answered(kOne, answer(429, {{"Retry-After", "7"}}, "<html>"), kStart);
  EXPECT_EQ(limits.wait(kTwo, kStart), Millis{7050});
}

TEST(RateLimits, CountsInvalidRequestsButNotSharedOnes) {
  RateLimits limits({.per_second = 50, .invalid_most = 3});
  limits.answered(kOne, answer(401, {}), kStart);
  limits.answered(kOne, answer(403, {}), kStart + Millis{1000});
  limits.answered(
      kOne, answer(429, {{"X-RateLimit-Scope", "shared"}, {"X-RateLimit-Remaining", "1"}}, R"({"retry_after":0})"),
      kStart);
  limits.answered(kOne, answer(404, {}), kStart);
  EXPECT_EQ(limits.invalid_requests(kStart), 2U);
  EXPECT_EQ(limits.wait(kTwo, kStart + Millis{2000}), Millis{0});
  limits.answered(kOne, answer(403, {}), kStart + Millis{2000});
  EXPECT_EQ(limits.wait(kTwo, kStart + Millis{2000}), Millis{598'000});
  EXPECT_EQ(limits.wait(kTwo, kStart + Millis{600'000}), Millis{0});
}

TEST(RateLimits, NonsenseInHeadersDoesNoHarm) {
  RateLimits limits({.per_second = 50});
  limits.answered(kOne, answer(200, {{"X-RateLimit-Remaining", "x"}, {"X-RateLimit-Reset-After", "1e999"}}), kStart);
  EXPECT_EQ(limits.wait(kOne, kStart), Millis{0});
  EXPECT_LE(limits.answered(kOne, answer(429, {}, R"({"retry_after":1e300})"), kStart), Millis{24 * 3600 * 1000 + 50});
  EXPECT_GE(limits.answered(kTwo, answer(429, {}, R"({"retry_after":-5})"), kStart), Millis{0});
}

}  // namespace
}  // namespace detent::discord
