// Bad days, to order: what the next requests of a service meet in place of an answer.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sandbox/json.h"

namespace detent::sandbox {

struct Fault {
  enum class Kind { Status, Timeout, Reset, AcceptThenReset, AcceptThenTimeout, Slow };
  std::string service;  // "discord", "telegram", "digitalocean"
  std::string name;     // the kind as it was ordered
  Kind kind = Kind::Status;
  int status = 0;          // of Kind::Status
  std::int64_t count = 1;  // requests still to meet it
  double retry_after = 1;  // seconds, of a 429
  double seconds = 3;      // of Kind::Slow
  std::string scope;       // of Discord's 429: "user", "global", "shared", or "sublimit" (Remaining stays above 0)
  std::string channel;     // only requests about this channel, chat or kind of resource ("droplets"); empty: all
  std::string method;      // only this HTTP method, or Bot API method (Telegram); empty: all but getUpdates
};

/// The orders, oldest first; each request meets at most one.
class Faults {
 public:
  /// From the body of POST /control/faults; Error says which member is wrong.
  Result<> order(const json::object& body);
  /// The first that fits this request, which uses up one of its count. `parent` is a thread's channel.
  std::optional<Fault> meet(std::string_view service, std::string_view channel, std::string_view parent,
                            std::string_view method);
  json::array list() const;
  void clear() { orders_.clear(); }

 private:
  std::list<Fault> orders_;
};

}  // namespace detent::sandbox
