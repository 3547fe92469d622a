// Time as the steps of provisioning see it: what they wait for is looked at again and again, and said.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace detent::provision {

/// The seam: real time in the program, a time of its own in a test.
class Time {
 public:
  virtual ~Time() = default;
  virtual Now now() = 0;
  /// Lets that much time pass.
  virtual void pass(Millis span) = 0;
};

class SystemTime final : public Time {
 public:
  Now now() override { return system_now(); }
  void pass(Millis span) override;
};

/// How long to wait, and how often to look.
struct Patience {
  Millis longest{300'000};
  Millis between{2'000};
  Millis said_every{15'000};
};

/// Looks until `look` has something: at once, then every `patience.between`. Says on `out` what is waited for, how long
/// it has been and how long it took. Error: what `look` says, or that the time is up; its code is ETIMEDOUT then.
Result<std::string> wait_for(const std::string& what, const Patience& patience, Time& time, std::ostream& out,
                             const std::function<Result<std::optional<std::string>>()>& look);

}  // namespace detent::provision
