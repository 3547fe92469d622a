// What the core keeps of each session, and of the consumers of a channel. For broker/core*.cc alone.
#pragma once

#include "broker/core.h"

namespace detent {

// What works again when an alarm is cleared.
inline constexpr std::string_view kJournalReads = "the journal can be read";
inline constexpr std::string_view kIdsRead = "the files of ids can be read";

struct Core::Consumer {
  struct Credit {
    uint64_t count = 0;
    uint64_t bytes = 0;
  };
  std::map<std::string, Credit, std::less<>> credit;
  struct Held {
    uint64_t seq = 0;
    uint32_t bytes = 0;
  };
  std::map<std::string, std::map<uint64_t, Held>, std::less<>> under_way;  // by channel and delivery
  uint64_t held = 0, held_bytes = 0;                                       // of all of them
  std::map<std::string, std::set<uint64_t>, std::less<>> begun;  // those deliveries of them of which it said BEGUN
  /// Whatever its credit, it is handed no more: what it does not read lies in memory. wire.proto says so.
  static constexpr uint64_t kMaxHeld = 65'536, kMaxHeldBytes = 64 << 20;
  bool has_its_hands_full() const { return held >= kMaxHeld || held_bytes >= kMaxHeldBytes; }
  /// The signal of a delivery that is with this consumer.
  std::optional<uint64_t> in_hand(std::string_view channel, uint64_t delivery) const {
    const auto of_channel = under_way.find(channel);
    if (of_channel == under_way.end()) return std::nullopt;
    const auto found = of_channel->second.find(delivery);
    return found == of_channel->second.end() ? std::nullopt : std::optional(found->second.seq);
  }
  /// The same, and it is with this consumer no longer.
  std::optional<uint64_t> take_back(std::string_view channel, uint64_t delivery) {
    const auto of_channel = under_way.find(channel);
    if (of_channel == under_way.end()) return std::nullopt;
    const auto found = of_channel->second.find(delivery);
    if (found == of_channel->second.end()) return std::nullopt;
    const uint64_t seq = found->second.seq;
    --held;
    held_bytes -= found->second.bytes;
    of_channel->second.erase(found);
    if (const auto ids = begun.find(channel); ids != begun.end()) ids->second.erase(delivery);
    return seq;
  }
  /// Whether it may have died of this delivery: it had begun it, or had begun none and this is the first, where it was.
  bool may_have_died_of(const std::string& channel, uint64_t delivery) const {
    const auto ids = begun.find(channel);
    if (ids != begun.end() && !ids->second.empty()) return ids->second.contains(delivery);
    return under_way.at(channel).begin()->first == delivery;
  }
};

struct Core::Consumers {
  std::vector<uint64_t> sessions;  // in turn
  size_t turn = 0;
  uint64_t under_way = 0;
  uint64_t delivered = 0;
  bool circuit_open = false;
  uint64_t opened_by = 0;  // the session that said so; the circuit ends with it
  std::string why;
  std::string trouble;  // why a delivery came back last, until one succeeds and none waits to be tried again
  int64_t trouble_since_ms = 0;
  Millis unread_until{0};  // bodies could not be read: no more is tried before
};

struct Core::Acks {
  struct Published {
    uint64_t session = 0;
    uint64_t upto = 0;
    struct Refusal {
      uint64_t number = 0;
      std::string id;
      Rejection fault;
    };
    std::vector<Refusal> refusals;
    uint64_t resume = 0;
    int reason = 0;
    std::string text;
  };
  std::vector<Published> published;
  struct Begun {
    uint64_t session = 0;
    std::string channel;
    uint64_t delivery = 0;
    uint32_t part = 0;
    bool first = false;  // nothing that is durable says that it was begun before
  };
  std::vector<Begun> begun;
  std::vector<std::pair<AdminCall, std::string>> answers;
  std::vector<uint64_t> byes;
  std::vector<LocalDone> local;

  /// Whether the part is begun with this batch and was not before: until it is durable, nothing is sent because of it.
  bool begins(std::string_view channel, uint64_t delivery, uint32_t part) const {
    for (const auto& one : begun) {
      if (one.first && one.delivery == delivery && one.part == part && one.channel == channel) return true;
    }
    return false;
  }
  bool empty() const { return published.empty() && begun.empty() && answers.empty() && byes.empty() && local.empty(); }
  Published& of(uint64_t session) {
    // A publisher's frames come in runs, so its answer is nearly always the last one.
    if (!published.empty() && published.back().session == session) return published.back();
    for (auto& answer : published) {
      if (answer.session == session) return answer;
    }
    return published.emplace_back(Published{session});
  }
};

struct Core::Restoring {
  struct Past {
    uint64_t floor = 0;
    std::vector<std::pair<uint64_t, uint64_t>> settled;  // [first, last), ascending
    struct Known {
      uint64_t delivery = 0;
      uint32_t attempts = 0;
      std::map<uint32_t, std::string> parts;
    };
    std::map<uint64_t, Known> open;    // of those that were handed out, by seq
    std::set<uint64_t> settled_since;  // of those that were open
    bool is_settled(uint64_t seq) const;
  };
  std::map<std::string, Past, std::less<>> channels;
  struct Letter {
    std::vector<uint64_t> seqs;
    std::string cause;
  };
  std::map<DeliveryKey, Letter> letters;  // dead letters that are kept
  uint64_t snapshot_next = 1;
  uint64_t open = 0;  // deliveries that the snapshot knows as open and no record was found for yet
};

}  // namespace detent
