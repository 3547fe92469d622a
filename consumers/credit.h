// How much the broker may still send, counted in deliveries and in bytes. What was settled is given back a good piece
// at a time, not one by one. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace detent::consumers {

class CreditAccount {
 public:
  struct Amount {
    uint32_t count = 0;
    uint64_t bytes = 0;
  };

  explicit CreditAccount(Amount whole) : whole_(whole) {}

  /// A session begins: nothing is given yet.
  void begin() { owed_ = whole_; }
  /// A delivery is out of our hands again.
  void settled(uint64_t bytes) {
    owed_.count += 1;
    owed_.bytes += bytes;
  }
  /// What to give now, if anything. `idle`: nothing is left to do, so that waiting for more would not end.
  std::optional<Amount> take(bool idle) {
    if (owed_.count == 0) return std::nullopt;
    if (!idle && owed_.count < whole_.count / 4 && owed_.bytes < whole_.bytes / 4) return std::nullopt;
    return std::exchange(owed_, {});
  }

 private:
  Amount whole_, owed_;
};

}  // namespace detent::consumers
