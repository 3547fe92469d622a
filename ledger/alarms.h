// The alarms of one audit log: each said once, and once when it is over.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "ledger/audit_log.h"

namespace detent {

class Alarms {
 public:
  using Sink = std::function<void(LedgerAlarm::Kind, std::string)>;

  /// Something that happened at one moment, and does not end.
  void say(LedgerAlarm::Kind kind, std::string text);
  Sink sink() {
    return [this](LedgerAlarm::Kind kind, std::string text) { say(kind, std::move(text)); };
  }
  /// Something that lasts: said where it was not already raised.
  void raise(LedgerAlarm::Kind kind, const std::string& text);
  /// It is over: said where it was raised.
  void end(LedgerAlarm::Kind kind, const std::string& text);

  std::vector<LedgerAlarm> take();

 private:
  std::vector<LedgerAlarm> said_;
  std::set<LedgerAlarm::Kind> raised_;
};

}  // namespace detent
