// What a measurement found, printed as one line of JSON for script/bench to read.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace detent::bench {

using Clock = std::chrono::steady_clock;
using Micros = std::chrono::duration<double, std::micro>;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}
inline double micros_since(Clock::time_point begin) { return Micros(Clock::now() - begin).count(); }

/// User and system time of this process and of the children that it has waited for.
double cpu_seconds();

class Figures {
 public:
  Figures& set(std::string name, double value) {
    values_.emplace_back(std::move(name), value);
    return *this;
  }
  /// `name`_p50, _p99 and _p999, in microseconds.
  Figures& spread(const std::string& name, std::vector<double> micros);
  void print() const;

 private:
  std::vector<std::pair<std::string, double>> values_;
};

}  // namespace detent::bench
