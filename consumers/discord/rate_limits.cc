#include "consumers/discord/rate_limits.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <optional>

namespace detent::discord {
namespace {

constexpr Millis kMargin{50};  // what discord.js adds, for the two clocks' sake
constexpr Millis kSecond{1000};
constexpr Millis kInvalidWindow{10 * 60 * 1000};
constexpr Millis kLongest{24 * 3600 * 1000};
constexpr size_t kMaxBuckets = 1024;

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

Millis seconds(double value) {
  return std::clamp(Millis(static_cast<int64_t>(std::ceil(std::clamp(value, 0.0, 1e6) * 1000))), Millis{0}, kLongest);
}

}  // namespace

std::string RateLimits::key(const Lane& lane) const {
  const auto hash = hashes_.find(lane.route);
  return (hash == hashes_.end() ? lane.route : hash->second) + " " + lane.major;
}

Millis RateLimits::wait(const Lane& lane, Millis now) const {
  Millis until = global_until_;
  if (const auto bucket = buckets_.find(key(lane)); bucket != buckets_.end() && bucket->second.remaining <= 0) {
    until = std::max(until, bucket->second.reset);
  }
  if (recent_.size() >= options_.per_second) {
    until = std::max(until, recent_[recent_.size() - options_.per_second] + kSecond);
  }
  if (invalid_requests(now) >= options_.invalid_most) {
    until = std::max(until, invalid_[invalid_.size() - options_.invalid_most] + kInvalidWindow);
  }
  return std::max(until - now, Millis{0});
}

void RateLimits::sent(const Lane& lane, Millis now) {
  while (!recent_.empty() && recent_.front() + kSecond <= now) recent_.pop_front();
  recent_.push_back(now);
  if (const auto bucket = buckets_.find(key(lane)); bucket != buckets_.end()) {
    // A bucket past its reset is full again, how full its next answer tells.
    if (bucket->second.reset <= now) {
      buckets_.erase(bucket);
    } else {
      --bucket->second.remaining;
    }
  }
}

Millis RateLimits::answered(const Lane& lane, const http::Response& response, Millis now) {
  const std::string_view hash = response.header("X-RateLimit-Bucket");
  if (!hash.empty()) hashes_[lane.route] = std::string(hash);
  const auto remaining = number(response.header("X-RateLimit-Remaining"));
  const auto reset_after = number(response.header("X-RateLimit-Reset-After"));
  forget_old(now);
  if (remaining && reset_after) {
    buckets_[key(lane)] = {static_cast<int64_t>(*remaining), now + seconds(*reset_after) + kMargin};
  }
  const bool shared = response.header("X-RateLimit-Scope") == "shared";
  if (response.status == 401 || response.status == 403 || (response.status == 429 && !shared)) {
    invalid_.push_back(now);
    while (invalid_.size() > options_.invalid_most) invalid_.pop_front();
  }
  if (response.status != 429) return Millis{0};

  boost::system::error_code error;
  const auto body = boost::json::parse(response.body, error);
  const auto* object = error ? nullptr : body.if_object();
  std::optional<double> retry_after;
  bool global = response.header("X-RateLimit-Global") == "true" || response.header("X-RateLimit-Scope") == "global";
  if (object) {
    if (const auto* value = object->if_contains("retry_after"); value && value->is_number())
      retry_after = value->to_number<double>();
    if (const auto* value = object->if_contains("global"); value && value->is_bool()) global |= value->get_bool();
  }
  if (!retry_after) retry_after = number(response.header("Retry-After"));
  // Without a word from the API itself it is the network before it that refuses: everything waits.
  if (!object) global = true;
  const Millis wait = seconds(retry_after.value_or(10)) + kMargin;
  if (global) {
    global_until_ = std::max(global_until_, now + wait);
  } else if (!remaining || *remaining <= 0) {
    buckets_[key(lane)] = {0, now + wait};
  }
  return wait;
}

uint32_t RateLimits::invalid_requests(Millis now) const {
  return static_cast<uint32_t>(
      std::count_if(invalid_.begin(), invalid_.end(), [&](Millis at) { return at + kInvalidWindow > now; }));
}

void RateLimits::forget_old(Millis now) {
  if (buckets_.size() < kMaxBuckets) return;
  std::erase_if(buckets_, [&](const auto& entry) { return entry.second.reset <= now; });
}

}  // namespace detent::discord
