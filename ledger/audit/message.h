// Commit messages: a subject that reads like a diary, and trailers that say how far the ledger got.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/audit/chain.h"
#include "ledger/audit/record.h"

namespace detent {

/// A record that later ones have overtaken; `seq` is zero where it is a receipt.
struct Overtaken {
  std::uint64_t place = 0;
  std::uint64_t seq = 0;
  friend auto operator<=>(const Overtaken&, const Overtaken&) = default;
};

/// How far the chain got with one commit: what a restart goes on from.
struct ChainState {
  std::uint64_t lines = 0;      // in the whole chain
  std::uint64_t last_seq = 0;   // the highest signal number committed
  std::uint64_t place = 0;      // the highest place committed …
  std::vector<Overtaken> held;  // … and what below it is not, in order
  Hash hash{};                  // of the last line

  /// Whether the record at `at` is in the ledger.
  bool holds(std::uint64_t at) const;
  /// All records up to and including this place are in the ledger: where reading goes on.
  std::uint64_t complete_to() const;
  friend bool operator==(const ChainState&, const ChainState&) = default;
};

/// What a commit says in its message.
struct CommitNote {
  std::string subject;
  std::vector<std::string> ids;  // of its signals, where they are few
  std::uint64_t first_seq = 0;   // zero: no signal in it
  std::uint64_t last_seq = 0;
  std::string file;
  ChainState state;
};

/// One line of what a commit is about, kept while it waits.
struct Mention {
  std::string type;      // of a signal; of a receipt its state
  std::string title;     // of a signal; of a receipt the signal's id
  std::string channels;  // joined by ", "
};

Mention mention_of(const LedgerSignal& signal);
Mention mention_of(const LedgerReceipt& receipt);

/// The subject of a commit of these signals and receipts.
std::string subject_of(const std::vector<const Mention*>& signals, const std::vector<const Mention*>& receipts);

std::string message_of(const CommitNote& note);
/// The note, where `message` is one that `message_of` made.
std::optional<CommitNote> note_of(std::string_view message);

}  // namespace detent
