#include "bench/figures.h"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

namespace detent::bench {

double cpu_seconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    getrusage(who, &used);
    for (const timeval& time : {used.ru_utime, used.ru_stime})
      sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  }
  return sum;
}

Figures& Figures::spread(const std::string& name, std::vector<double> micros) {
  if (micros.empty()) return *this;
  std::sort(micros.begin(), micros.end());
  const auto at = [&](double part) {
    return micros[std::min(micros.size() - 1, static_cast<size_t>(part * static_cast<double>(micros.size())))];
  };
  return set(name + "_p50", at(0.5)).set(name + "_p99", at(0.99)).set(name + "_p999", at(0.999));
}

void Figures::print() const {
  std::string line = "{";
  for (const auto& [name, value] : values_)
    line += fmt::format("{}\"{}\": {:.6g}", line.size() > 1 ? ", " : "", name, value);
  std::printf("%s}\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace detent::bench
