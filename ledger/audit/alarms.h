// The alarms of one audit log: each said once, and once when it is resolved.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/audit/audit_log.h"

namespace detent {

class LedgerAlarms {
 public:
  using Sink = std::function<void(LedgerAlarm::Kind, std::string)>;

  /// Something that happened at one moment, and does not end.
  void report(LedgerAlarm::Kind kind, std::string text, std::string remedy = {});
  /// Something that lasts: said where it was not already raised.
  void raise(LedgerAlarm::Kind kind, const std::string& text, const std::string& remedy = {});
  /// Reports or raises, as the kind is.
  Sink sink();
  /// It was raised by an earlier run: it is not said again, and it can be cleared.
  void restore(std::string_view kind);
  /// It is resolved: said where it was raised.
  void clear(LedgerAlarm::Kind kind, const std::string& text);

  std::vector<LedgerAlarm> take();

 private:
  std::vector<LedgerAlarm> said_;
  std::set<LedgerAlarm::Kind> raised_;
};

}  // namespace detent
