// What consumers have in hand, and who serves a channel. For Deliveries alone.
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace detent {

/// A consumer's session.
struct Consumer {
  struct Credit {
    uint64_t count = 0;
    uint64_t bytes = 0;
  };
  std::map<std::string, Credit, std::less<>> credit;
  struct Held {
    uint64_t seq = 0;
    uint32_t bytes = 0;
  };
  using InHand = boost::unordered_flat_map<uint64_t, Held>;      // by delivery
  std::map<std::string, InHand, std::less<>> under_way;          // by channel
  uint64_t held = 0, held_bytes = 0;                             // of all of them
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
  /// Of which deliveries it may have died: those that it had begun, or where it had begun none the first, where it was.
  std::set<uint64_t> may_have_died_of(const std::string& channel) const {
    if (const auto ids = begun.find(channel); ids != begun.end() && !ids->second.empty()) return ids->second;
    const auto& in_hand = under_way.at(channel);
    const auto first = std::min_element(in_hand.begin(), in_hand.end(),
                                        [](const auto& one, const auto& other) { return one.first < other.first; });
    return first == in_hand.end() ? std::set<uint64_t>{} : std::set{first->first};
  }
};

/// All of one channel.
struct ChannelConsumers {
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

}  // namespace detent
