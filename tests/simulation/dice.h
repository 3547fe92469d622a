// All chance of a simulated world comes from here, so that its seed replays it.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>

namespace detent::test {

struct Dice {
  explicit Dice(uint64_t seed) : random(seed) {}
  bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random) < probability; }
  uint64_t below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random); }

  std::mt19937_64 random;
};

/// Takes what invariant does not hold.
using Broken = std::function<void(const std::string& what)>;

}  // namespace detent::test
