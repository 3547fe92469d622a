// When a request to Discord may go. Discord counts by bucket: a hash it names in its answers, for each channel, guild
// or webhook apart (topics/rate-limits of its documents). Pure: the monotonic time is handed in. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "http/client.h"

namespace detent::discord {

/// What is counted together: the route ("POST messages") and whose it is (a channel's or webhook's id).
struct Lane {
  std::string route;
  std::string major;
};

class RateLimits {
 public:
  struct Options {
    /// This process's share of the 50 requests a second that one bot has.
    uint32_t per_second = 5;
    /// Discord bans an address after 10,000 answers 401, 403 and 429 in ten minutes; each process stops far below.
    uint32_t invalid_most = 500;
  };

  RateLimits() : RateLimits(Options{}) {}
  explicit RateLimits(Options options) : options_(options) {}

  /// How long to wait until a request may go; 0: it may go.
  Millis wait(const Lane& lane, Millis now) const;
  /// It goes.
  void sent(const Lane& lane, Millis now);
  /// What came back. For a 429: how long that very request is to wait (other requests of the lane may go where `wait`
  /// says so: a sub-limit); 0 for every other status.
  Millis answered(const Lane& lane, const http::Response& response, Millis now);

  uint32_t invalid_requests(Millis now) const;

 private:
  struct Bucket {
    int64_t remaining = 1;
    Millis reset{0};
  };
  std::string key(const Lane& lane) const;
  void forget_old(Millis now);

  Options options_;
  std::map<std::string, std::string> hashes_;  // route to bucket hash
  std::map<std::string, Bucket> buckets_;      // hash (or route, until it is known) and major
  std::deque<Millis> recent_;                  // what went during the last second
  std::deque<Millis> invalid_;
  Millis global_until_{0};
};

}  // namespace detent::discord
