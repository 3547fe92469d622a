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
  std::map<std::string, std::set<uint64_t>, std::less<>> under_way;  // seqs by channel
  std::map<std::string, std::set<uint64_t>, std::less<>> begun;      // those of them of which it said BEGUN
  bool has_under_way(std::string_view channel, uint64_t seq) const {
    const auto seqs = under_way.find(channel);
    return seqs != under_way.end() && seqs->second.contains(seq);
  }
  bool erase_under_way(std::string_view channel, uint64_t seq) {
    if (const auto seqs = begun.find(channel); seqs != begun.end()) seqs->second.erase(seq);
    const auto seqs = under_way.find(channel);
    return seqs != under_way.end() && seqs->second.erase(seq);
  }
  /// Whether it may have died of this delivery: it had begun it, or had begun none and this is the first, where it was.
  bool may_have_died_of(const std::string& channel, uint64_t seq) const {
    const auto seqs = begun.find(channel);
    if (seqs != begun.end() && !seqs->second.empty()) return seqs->second.contains(seq);
    return *under_way.at(channel).begin() == seq;
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
    uint64_t seq = 0;
    uint32_t part = 0;
    bool first = false;  // nothing that is durable says that it was begun before
  };
  std::vector<Begun> begun;
  std::vector<std::pair<AdminCall, std::string>> answers;
  std::vector<uint64_t> byes;
  std::vector<LocalDone> local;

  /// Whether the part is begun with this batch and was not before: until it is durable, nothing is sent because of it.
  bool begins(std::string_view channel, uint64_t seq, uint32_t part) const {
    for (const auto& one : begun) {
      if (one.first && one.seq == seq && one.part == part && one.channel == channel) return true;
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
    std::vector<std::pair<uint64_t, uint64_t>> settled;                             // [first, last), ascending
    std::map<uint64_t, std::pair<uint32_t, std::map<uint32_t, std::string>>> open;  // attempts and parts by seq
    std::set<uint64_t> settled_since;                                               // of those that were open
    bool is_settled(uint64_t seq) const;
  };
  std::map<std::string, Past, std::less<>> channels;
  std::map<DeliveryKey, std::string> letters;  // dead letters that are kept, and their causes
  uint64_t snapshot_next = 1;
  uint64_t open = 0;  // deliveries that the snapshot knows as open and no record was found for yet
};

}  // namespace detent
