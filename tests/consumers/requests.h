// Requests that a consumer would send, checked against what the platforms' own documents allow.
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "consumers/discord/channel.h"
#include "tests/support/request_check.h"

namespace detent::testing {

/// Those that a process sent, as the sandbox recorded them.
inline void check_requests(const std::string& record) {
  size_t count = 0;
  EXPECT_THAT(requests::check_record(record, count), ::testing::IsEmpty());
  EXPECT_GT(count, 0u);
}

inline void check_request(const std::string& service, const std::string& path, const std::string& body) {
  const requests::json::object request{{"service", service},
                                       {"method", "POST"},
                                       {"path", path},
                                       {"headers", {{"User-Agent", discord::kUserAgent}}},
                                       {"body", requests::json::parse(body)},
                                       {"status", 200}};
  EXPECT_THAT(requests::check(request), ::testing::IsEmpty()) << body.substr(0, 2000);
}

}  // namespace detent::testing
