// What a simulated disk goes through besides crashes: calls that fail for a while, and no room for a while. Most seeds
// have some of it, and some have none.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "tests/simulation/dice.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

class DiskWeather {
 public:
  DiskWeather(MemoryDisk& disk, Dice& dice);
  /// Begins and ends what is due. `step`: about how many bytes the broker's files grow by at once.
  void turn(Now now, uint64_t step);
  /// It is over, for good.
  void clear();

  /// Calls that failed, and times that the disk began to fill.
  uint64_t failed() const { return failed_; }
  uint64_t filled() const { return filled_; }
  /// That something has gone wrong since the start.
  bool was_met() const { return failed_ || filled_; }

  bool is_full() const { return full_; }
  /// Whether bits flip while the broker is down.
  bool rots() const { return rots_; }

  /// While it lives no call fails: who looks from outside is not part of the weather.
  class Aside {
   public:
    explicit Aside(DiskWeather& weather) : weather_(weather) { ++weather_.aside_; }
    ~Aside() { --weather_.aside_; }
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

   private:
    DiskWeather& weather_;
  };

 private:
  int fails(Call call, const std::string& path);

  MemoryDisk& disk_;
  Dice& dice_;
  bool errs_, fills_, rots_;  // at all, under this seed
  double replacing_fails_;    // of each file that is written to replace another, or as a whole
  int aside_ = 0;
  uint64_t failed_ = 0, filled_ = 0;

  // of what goes on
  bool erring_ = false, full_ = false;
  int code_ = 0;
  double chance_ = 0;  // that a call which can fail so does
  Millis errs_until_{0}, full_until_{0};
};

}  // namespace detent::test
