// What the operator ordered to be done with dead letters. All of them at once would not fit in memory, so it goes in
// bites, one with each work of the journal. On the loop's thread.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/dead_letters.h"

namespace detent {

class DeadOrders {
 public:
  /// What a bite took: to be closed in the dead letters' journal behind the core's next work, and to be answered when
  /// that is done.
  struct Bite {
    std::vector<DeadLetters::Key> keys;
    bool retried = false;
    std::optional<std::pair<AdminCall, std::string>> answer;  // with the last bite of an order
  };

  DeadOrders(Core& core, DeadLetters& dead) : core_(core), dead_(dead) {}

  /// Brings the letters back, or drops them.
  void add(AdminCall call, bool retry, std::vector<DeadLetters::Key> keys);
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
  };

  Core& core_;
  DeadLetters& dead_;
  std::deque<Order> orders_;
};

}  // namespace detent
