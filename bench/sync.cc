#include <filesystem>

#include "base/disk.h"
#include "base/result.h"
#include "bench/figures.h"
#include "bench/measurements.h"

namespace detent::bench {

void sync(const std::string& directory, uint64_t count) {
  RealDisk disk;
  const std::string path = directory + "/sync";
  auto file = disk.open(path, OpenMode::kReplace);
  if (!file) throw Failure(file.error().what);
  const std::string bytes(512, 'x');
  if (auto zeros = (*file)->zero_fill(0, count * bytes.size()); !zeros) throw Failure(zeros.error().what);
  std::vector<double> waits;
  for (uint64_t i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    if (auto put = (*file)->write(i * bytes.size(), bytes); !put) throw Failure(put.error().what);
    if (auto put = (*file)->sync(); !put) throw Failure(put.error().what);
    waits.push_back(micros_since(begin));
  }
  std::filesystem::remove(path);
  Figures().spread("sync", waits).print();
}

}  // namespace detent::bench
