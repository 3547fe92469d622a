#include "journal/quarantine.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <vector>

namespace detent {

Quarantine::Kept Quarantine::copy(const std::string& name, std::uint64_t offset, std::uint64_t bytes,
                                  std::string_view why) {
  const std::string path = fmt::format("{}/{}-{}-{}", folder_, name, offset, bytes);
  if (disk_.exists(path)) return {path, true};
  auto kept = disk_.make_directory(folder_);
  if (kept) kept = copy_bytes(home_ + "/" + name, offset, bytes, path + ".tmp");
  if (kept) kept = disk_.rename(path + ".tmp", path);
  if (!kept) {
    spdlog::error("a copy of the damaged bytes of {} could not be kept: {}", name, kept.error().what);
    return {};
  }
  note(path, fmt::format("{} bytes of {} from offset {}: {}\n", bytes, name, offset, why));
  return {path, false};
}

Quarantine::Kept Quarantine::move(const std::string& name, std::string_view why) {
  std::string path = folder_ + "/" + name;
  for (int again = 2; disk_.exists(path); ++again) path = fmt::format("{}/{}-{}", folder_, name, again);
  auto kept = disk_.make_directory(folder_);
  if (kept) kept = disk_.rename(home_ + "/" + name, path);
  if (kept) kept = disk_.sync_directory(folder_);
  if (kept) kept = disk_.sync_directory(home_);
  if (!kept) {
    spdlog::error("{} could not be moved to quarantine: {}", name, kept.error().what);
    return {};
  }
  note(path, fmt::format("{}: {}\n", name, why));
  return {path, false};
}

void Quarantine::note(const std::string& path, const std::string& text) {
  if (const auto written = replace_file(disk_, path + ".txt", text); !written)
    spdlog::warn("{} is kept, without a note of what it is: {}", path, written.error().what);
}

Result<void> Quarantine::copy_bytes(const std::string& from, std::uint64_t offset, std::uint64_t bytes,
                                    const std::string& to) {
  auto source = disk_.open(from, OpenMode::kRead);
  if (!source) return source.error();
  auto target = disk_.open(to, OpenMode::kReplace);
  if (!target) return target.error();
  std::vector<char> piece(std::min<std::uint64_t>(bytes, 1 << 20));
  for (std::uint64_t done = 0; done < bytes;) {
    const auto want = std::min<std::uint64_t>(piece.size(), bytes - done);
    auto got = (*source)->read(offset + done, {piece.data(), want});
    if (!got) return got.error();
    if (*got == 0) break;
    if (auto put = (*target)->write(done, {piece.data(), *got}); !put) return put;
    done += *got;
  }
  return (*target)->sync();
}

}  // namespace detent
