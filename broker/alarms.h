// Detent's own alarms: each said once when its condition begins, and once when it is over. They are kept in the
// journal, so that this holds over restarts.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "journal/batch.h"

namespace detent {

struct Alarm {
  std::string cause;
  int64_t since_ms = 0;  // 0: not known
};

/// What goes out about an alarm.
struct Notice {
  std::string alarm;
  std::string title, body;
  bool resolved = false;
  int64_t since_ms = 0;  // of what is resolved
};

class Alarms {
 public:
  using Standing = std::map<std::string, Alarm, std::less<>>;  // by name: "circuit/discord.alerts"

  /// Appends to `batch` what must be durable; `publish` makes a signal of a notice.
  Alarms(Batch& batch, std::function<void(const Notice&, Now)> publish) : batch_(batch), publish_(std::move(publish)) {}

  /// Nothing where it stands already.
  void raise(const std::string& name, const std::string& cause, const std::string& remedy, Now now);
  /// `is_well`: what works again, as in "resolved: discord.alerts is delivering again". Nothing where it does not
  /// stand.
  void clear(std::string_view name, std::string_view is_well, Now now);
  /// Says something that happened at one moment and does not stand.
  void report_event(const std::string& name, const std::string& what, const std::string& remedy, Now now);

  const Standing& standing() const { return standing_; }
  bool stands(std::string_view name) const { return standing_.contains(name); }
  /// Raised or reported since the start.
  uint64_t count() const { return count_; }

  /// As a snapshot or a record of the journal tells it.
  void restore(const std::string& name, Alarm alarm) { standing_.insert_or_assign(name, std::move(alarm)); }
  void restore_cleared(const std::string& name) { standing_.erase(name); }

 private:
  void record(const std::string& name, bool is_over, const std::string& cause, Now now);

  Batch& batch_;
  const std::function<void(const Notice&, Now)> publish_;
  Standing standing_;
  uint64_t count_ = 0;
};

}  // namespace detent
