// Rate limits as the services keep them: a number of requests in a window that begins with the first of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace detent::sandbox {

struct Pace {
  std::int64_t requests = 0;  // 0: no limit
  Millis window{0};
};

/// "5/5" or "30/0.5": requests per seconds; "off".
Result<Pace> parse_pace(std::string_view text);

/// How a request stands against its limit.
struct Standing {
  bool allowed = true;
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  Millis reset_after{0};
};

/// The windows of one kind of limit, by key.
class Paces {
 public:
  explicit Paces(Pace pace) : pace_(pace) {}
  /// Counts one request, if it is allowed.
  Standing take(const std::string& key, Now now);
  void clear() { windows_.clear(); }

 private:
  struct Window {
    Millis ends{0};
    std::int64_t used = 0;
  };
  Pace pace_;
  std::map<std::string, Window> windows_;
};

}  // namespace detent::sandbox
