// What the journal's records tell, one after another: the outside record against which a simulated broker is held.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/dead_letters.h"
#include "journal/journal.h"

namespace detent {
class Part;
}

namespace detent::test {

/// By number, what is known of each that is with the platform or may be: "begun at 1795000000000" or "done, message 7".
using Parts = std::map<uint32_t, std::string>;
/// Takes in what was said last of one of them; forgets it where the platform surely did not take it.
void take(Parts& parts, const Part& part);
/// "1 done, message 7, 2 begun at 1795000000000"; "none".
std::string text(const Parts& parts);

struct Books {
  struct Entry {
    std::string id, source, bytes;  // of the signal
    std::vector<std::string> channels;
    bool revived = false;
  };
  struct Settling {
    int state = 0;  // of SettledRecord
    uint64_t delivery = 0;
    std::string record;
  };
  std::map<uint64_t, Entry> signals;  // by number, without a gap
  std::map<std::string, uint64_t> ids;
  struct Place {
    std::string channel;
    uint64_t seq = 0;
    auto operator<=>(const Place&) const = default;
  };
  std::map<Place, Settling> settled;
  std::map<Place, Parts> parts;                    // that are with the platform or may be, by their only signal
  std::map<DeadLetters::Key, uint64_t> delivered;  // settled deliveries by their ids, with their first signal

  /// What the record breaks; empty: nothing. A record may come again as it was: a restart copies the journal's tail.
  std::string add(std::string_view record);
};

/// Follows the journal as LedgerWriter does, from the first record that it has not committed, and outlives the broker's
/// process. What it has read was synced, and is true for ever.
class Ledger {
 public:
  void open(const Journal& journal) {
    tail_ = journal.tail(complete_);
    read_to_ = complete_;
  }
  void close() { tail_.reset(); }
  /// Reads up to `most` records before `synced`. What is broken; empty: nothing.
  std::string read(const LogPosition& synced, size_t most);
  /// What was read is in git.
  void commit() { complete_ = read_to_; }

  /// All records of segments before this one are in the ledger.
  uint64_t complete_segment() const { return complete_.segment; }
  bool has_all_before(const LogPosition& synced) const { return all_before_ == synced && complete_ == read_to_; }
  const Books& books() const { return books_; }

 private:
  std::unique_ptr<JournalTail> tail_;
  RecordPosition complete_, read_to_;
  LogPosition all_before_;
  Books books_;
};

}  // namespace detent::test
