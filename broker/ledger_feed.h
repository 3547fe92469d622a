// Tells the audit log what the journal's records say. Whoever owns the log calls it, with the records in their order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "journal/journal.h"

namespace detent {

class AuditLog;

class LedgerFeed {
 public:
  explicit LedgerFeed(AuditLog& log);

  /// `place`: JournalTail::Record::origin.
  void add(const RecordPosition& place, std::string_view record, Now now);

  /// Where a record lies, as the log counts places, and back.
  static uint64_t place_number(const RecordPosition& place) { return place.segment << 32 | place.offset; }
  static RecordPosition position(uint64_t place) { return {place >> 32, static_cast<uint32_t>(place), 0}; }

 private:
  void add_signal(const RecordPosition& place, std::string_view record, Now now);
  void add_receipts(const RecordPosition& place, std::string_view record, Now now);

  AuditLog& log_;
  std::vector<std::string> ids_;  // of the latest signals, by seq modulo its size: for their receipts
  uint64_t last_seen_seq_ = 0;
};

}  // namespace detent
