#include "ledger/repository/files.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace detent {

namespace fs = std::filesystem;

Result<> sync(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = file >= 0 && fsync(file) == 0;
  const int number = errno;
  if (file >= 0) close(file);
  return synced ? Result<>{} : system_error("cannot sync " + path.string(), number);
}

Result<> replace(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".detent-new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return system_error("cannot write " + fresh.string(), errno);
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && !fsync(file);
  const int number = errno;
  close(file);
  if (!written) return system_error("cannot write " + fresh.string(), number);
  if (::rename(fresh.c_str(), path.c_str())) return system_error("cannot write " + path.string(), errno);
  return {};
}

std::string stamp(Millis wall) {
  std::string when = utc(wall);
  std::erase_if(when, [](char c) { return c == '-' || c == ':'; });
  return when;
}

Result<fs::path> move_aside(const fs::path& path, Millis wall) {
  const std::string stem = path.string() + ".damaged-" + stamp(wall);
  fs::path aside = stem;
  for (int n = 2; fs::exists(aside); ++n) aside = fmt::format("{}.{}", stem, n);
  if (::rename(path.c_str(), aside.c_str())) return system_error("cannot set aside " + path.string(), errno);
  return aside;
}

}  // namespace detent
