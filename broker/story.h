// A signal's whole story, as the journal tells it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ulid.h"
#include "journal/journal.h"

namespace detent {

struct Story {
  struct Event {
    int64_t at_ms = 0;
    std::string what;  // "begun", "not taken", "sent", "delivered", "unknown", "expired", "dead", "dropped"
    uint32_t part = 0;
    std::string message_id, link, cause;
  };
  struct OneChannel {
    std::string name;
    std::string state;  // settled how; empty: still open
    std::string cause;
    uint32_t attempts = 0;
    std::vector<Event> events;
  };
  bool found = false;
  uint64_t seq = 0;
  int64_t journalled_ms = 0;
  bool repeat_unproven = false;
  std::string signal;
  std::vector<OneChannel> channels;
};

/// Reads the journal from `tail` up to `synced`. Any thread.
Result<Story> tell(JournalTail& tail, const LogPosition& synced, const Ulid& id);

/// A signal as JSON that is sure to fit into an answer: of a text over 64 KiB the first part, which says so at its end.
std::string shortened_json(std::string_view signal);

std::string story_json(const Story& story);

}  // namespace detent
