// What the ledger is told: signals as they were journalled, and receipts as they came in.
//
// All text is borrowed for the length of the call that takes it.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace detent {

struct LedgerSignal {
  /// Where the journal holds this record: unique among signals and receipts, above zero, and growing. The ledger only
  /// compares places.
  std::uint64_t place = 0;
  std::uint64_t seq = 0;
  std::string_view id;  // ULID, 26 characters
  std::string_view type;
  std::string_view title;
  std::string_view body;
  std::string_view source;
  std::string_view severity;
  bool needs_response = false;
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  std::string_view thread;
  std::string_view in_reply_to;
  Millis created{0};
  Millis expires{0};  // zero: never
  Millis journalled{0};
  std::vector<std::string_view> channels;
  std::string_view raw;  // the journalled bytes: what a replay publishes
};

enum class ReceiptState { delivered, unknown, expired, dead, dropped };

struct LedgerReceipt {
  std::uint64_t place = 0;
  std::uint64_t seq = 0;       // of the signal it is about
  std::string_view id;         // of that signal
  std::uint64_t delivery = 0;  // which settled it, perhaps with others; 0: it was never handed out
  std::string_view channel;
  ReceiptState state = ReceiptState::delivered;
  std::string_view message;
  std::string_view link;
  std::string_view cause;
  Millis time{0};
};

std::string_view name_of(ReceiptState state);

}  // namespace detent
