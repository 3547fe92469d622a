// `detent tail`: the journal read again for those who asked, from a moment on. On the loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "broker/core.h"
#include "journal/journal.h"

namespace detent {

class Tails {
 public:
  Tails(Core& core, const Journal& journal) : core_(core), journal_(journal) {}

  /// Starts and ends what was asked for, and sends each session its next frame of what lies before `synced`. True where
  /// there may be more at once.
  bool feed(const LogPosition& synced);

 private:
  struct Tail {
    std::string channel, type;
    std::unique_ptr<JournalTail> records;
    int64_t since_ms = 0;
    std::set<std::string, std::less<>> also_from;
    size_t unpinged = 0;  // bytes sent behind the last PING
    bool caught_up = false;
  };
  bool feed(uint64_t session, Tail& tail, const LogPosition& synced);

  Core& core_;
  const Journal& journal_;
  std::map<uint64_t, Tail> tails_;  // by session
};

}  // namespace detent
