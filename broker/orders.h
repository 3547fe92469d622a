// What the operator ordered to be done with many deliveries or dead letters. All of them at once would not fit in
// memory, nor in a turn, so it goes in bites, one with each work of the journal. On the loop's thread.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/dead_letters.h"

namespace detent {

class Orders {
 public:
  /// What a bite took: dead letters to be closed in their journal behind the core's next work, and what is to be
  /// answered when that is done.
  struct Bite {
    std::vector<DeadLetters::Key> keys;
    bool retried = false;
    std::optional<std::pair<AdminCall, std::string>> answer;  // with the last bite of an order
  };

  Orders(Core& core, DeadLetters& dead) : core_(core), dead_(dead) {}

  /// Brings dead letters back, or drops them.
  void add(AdminCall call, bool retry, std::vector<DeadLetters::Key> keys);
  /// Drops what waits for a channel now.
  void drop(AdminCall call, std::string channel);
  bool empty() const { return orders_.empty(); }
  /// Does as much of the oldest order as fits a work. Only directly before that work is taken. `stopping`: the order
  /// ends here, and its answer tells how far it came.
  std::optional<Bite> bite(bool stopping, Now now);

 private:
  struct Order {
    AdminCall call;
    bool retry = false;
    std::vector<DeadLetters::Key> keys;
    size_t next = 0, done = 0;
    std::string channel;  // whose deliveries are dropped; empty: the order is about `keys`
    uint64_t upto = 0;    // the last of them
  };
  void close_letters(Order& order, Bite& bite, Now now);

  Core& core_;
  DeadLetters& dead_;
  std::deque<Order> orders_;
};

}  // namespace detent
