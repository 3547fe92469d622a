#include "sandbox/faults.h"

#include <algorithm>

#include "http/headers.h"

namespace detent::sandbox {

namespace {
struct Named {
  std::string_view name;
  Fault::Kind kind;
  int status;
};
constexpr Named kKinds[] = {
    {"429", Fault::Kind::Status, 429},
    {"500", Fault::Kind::Status, 500},
    {"502", Fault::Kind::Status, 502},
    {"503", Fault::Kind::Status, 503},
    {"401", Fault::Kind::Status, 401},
    {"403", Fault::Kind::Status, 403},
    {"404", Fault::Kind::Status, 404},
    {"timeout", Fault::Kind::Timeout, 0},
    {"reset", Fault::Kind::Reset, 0},
    {"accept-then-reset", Fault::Kind::AcceptThenReset, 0},
    {"accept-then-timeout", Fault::Kind::AcceptThenTimeout, 0},
    {"slow", Fault::Kind::Slow, 0},
};

std::optional<double> seconds_of(const json::object& body, std::string_view key, double otherwise) {
  const json::value* value = member(body, key);
  if (!value) return otherwise;
  if (!value->is_number()) return std::nullopt;
  const double seconds = value->to_number<double>();
  return seconds >= 0 && seconds <= 86'400 ? std::optional(seconds) : std::nullopt;
}
}  // namespace

Result<> Faults::order(const json::object& body) {
  for (const auto& entry : body) {
    static constexpr std::string_view kKnown[] = {"service", "kind",  "count",   "retry_after",
                                                  "seconds", "scope", "channel", "method"};
    if (std::find(std::begin(kKnown), std::end(kKnown), std::string_view(entry.key())) == std::end(kKnown)) {
      return Error{"unknown member " + std::string(entry.key())};
    }
  }
  Fault fault;
  fault.service = text_of(body, "service");
  if (fault.service != "discord" && fault.service != "telegram" && fault.service != "digitalocean")
    return Error{"service: discord, telegram or digitalocean"};
  fault.name = text_of(body, "kind");
  const Named* named = nullptr;
  for (const Named& each : kKinds) {
    if (each.name == fault.name) named = &each;
  }
  if (!named) {
    std::string names;
    for (const Named& each : kKinds) names += (names.empty() ? "" : ", ") + std::string(each.name);
    return Error{"kind: one of " + names};
  }
  fault.kind = named->kind;
  fault.status = named->status;
  if (body.contains("count")) {
    const auto count = whole_of(body, "count");
    if (!count || *count < 1) return Error{"count: a whole number from 1"};
    fault.count = *count;
  }
  const auto retry_after = seconds_of(body, "retry_after", 1);
  const auto seconds = seconds_of(body, "seconds", 3);
  if (!retry_after) return Error{"retry_after: seconds from 0 to 86400"};
  if (!seconds) return Error{"seconds: from 0 to 86400"};
  fault.retry_after = *retry_after;
  fault.seconds = *seconds;
  fault.scope = text_of(body, "scope");
  if (!fault.scope.empty() && fault.scope != "user" && fault.scope != "global" && fault.scope != "shared" &&
      fault.scope != "sublimit") {
    return Error{"scope: user, global, shared or sublimit"};
  }
  fault.channel = text_of(body, "channel");
  fault.method = text_of(body, "method");
  orders_.push_back(std::move(fault));
  return {};
}

std::optional<Fault> Faults::meet(std::string_view service, std::string_view channel, std::string_view parent,
                                  std::string_view method) {
  for (auto at = orders_.begin(); at != orders_.end(); ++at) {
    if (at->service != service || (!at->channel.empty() && at->channel != channel && at->channel != parent)) continue;
    const bool fits = at->method.empty() ? !http::same_name(method, "getUpdates") : http::same_name(at->method, method);
    if (!fits) continue;
    Fault met = *at;
    if (--at->count == 0) orders_.erase(at);
    return met;
  }
  return std::nullopt;
}

json::array Faults::list() const {
  json::array all;
  for (const Fault& fault : orders_) {
    all.push_back({{"service", fault.service},
                   {"kind", fault.name},
                   {"count", fault.count},
                   {"retry_after", fault.retry_after},
                   {"seconds", fault.seconds},
                   {"scope", fault.scope},
                   {"channel", fault.channel},
                   {"method", fault.method}});
  }
  return all;
}

}  // namespace detent::sandbox
