#include "ledger/repository/room.h"

#include <spdlog/fmt/fmt.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include "base/units.h"

namespace detent {

Result<> check_room(const std::filesystem::path& path, std::uint64_t bytes) {
  struct statvfs disk {};
  if (bytes == 0 || statvfs(path.c_str(), &disk) != 0) return {};  // what follows says why
  const std::uint64_t block = disk.f_frsize, free = disk.f_bavail * block;
  const std::uint64_t mark = std::min<std::uint64_t>(bytes, disk.f_blocks * block / 10);
  if (free >= mark) return {};
  return Error{fmt::format("no space left on device: {} has {} free, less than the {} that are left to the journal",
                           path.string(), readable_size(free), readable_size(mark)),
               ENOSPC};
}

}  // namespace detent
