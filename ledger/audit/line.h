// A line of the ledger: one signal or one receipt as JSON, sealed with the hash that chains it to the line before.
//
// A line is written in two steps, since its place in the chain is known only when it is committed: `append_open_line`
// renders all but the hash, `append_sealed` adds it. What is hashed is the whole text of the open line, so that no byte
// of a line can change unseen, the readable fields as little as the journalled bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/audit/chain.h"
#include "ledger/audit/record.h"

namespace detent {

void append_open_line(std::string& out, const LedgerSignal& signal);
void append_open_line(std::string& out, const LedgerReceipt& receipt);

/// Appends the whole line made of `open`, newline included, and moves `chain` on to it. The first line of a file also
/// names the hash it goes on from, so that each file can be checked by itself.
void append_sealed(std::string& out, std::string_view open, bool first_of_file, Hash& chain);

/// A line read back, its own form checked but not yet its place in the chain.
struct LedgerLine {
  bool receipt = false;
  std::uint64_t seq = 0;
  std::string id;
  std::string channel;         // of a receipt
  std::string state;           // of a receipt, as name_of(ReceiptState) says it
  std::size_t channels = 0;    // of a signal: how many it went to
  std::string raw;             // journalled bytes of a signal
  std::optional<Hash> before;  // in the first line of a file
  Hash hash{};
  std::string_view hashed;  // of the text given in
};

/// Reads one line (without its newline). An error names what is wrong with it.
Result<LedgerLine> parse_line(std::string_view text);

}  // namespace detent
