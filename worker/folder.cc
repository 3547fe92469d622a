#include "worker/folder.h"

#include <fts.h>
#include <sys/stat.h>

namespace detent {

namespace fs = std::filesystem;

namespace {

/// Calls `each` with every entry below `folder`, a folder before what is in it.
template <class Each>
void walk(const fs::path& folder, Each each) {
  std::string start = folder.string();
  char* paths[] = {start.data(), nullptr};
  FTS* tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr);
  if (!tree) return;
  while (FTSENT* entry = fts_read(tree)) each(*entry);
  fts_close(tree);
}

}  // namespace

uint64_t size_on_disk(const fs::path& folder) {
  uint64_t bytes = 0;
  walk(folder, [&](const FTSENT& entry) {
    const bool has_size = entry.fts_info == FTS_F || entry.fts_info == FTS_D || entry.fts_info == FTS_SL;
    if (has_size) bytes += static_cast<uint64_t>(entry.fts_statp->st_blocks) * 512;
  });
  return bytes;
}

Result<> remove_folder(const fs::path& folder) {
  std::error_code failed;
  fs::remove_all(folder, failed);
  if (!failed) return {};
  walk(folder, [](const FTSENT& entry) {
    if (entry.fts_info == FTS_D || entry.fts_info == FTS_DNR) chmod(entry.fts_accpath, 0700);
  });
  fs::remove_all(folder, failed);
  if (failed) return system_error("cannot remove " + folder.string(), failed.value());
  return {};
}

}  // namespace detent
