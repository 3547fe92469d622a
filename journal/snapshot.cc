#include "journal/snapshot.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "base/crc32c.h"
#include "journal/format.h"

namespace detent {

namespace {

constexpr std::string_view kPrefix = "snapshot-";
constexpr std::string_view kDraft = "snapshot.tmp";

struct SnapshotHeader {
  std::uint32_t magic = format::kSnapshotMagic;
  std::uint32_t crc = 0;  // of all behind it, the bytes included
  std::uint32_t version = format::kVersion;
  std::uint32_t reserved = 0;
  LogPosition at;
  std::uint64_t length = 0;
};
static_assert(sizeof(SnapshotHeader) == 56);

std::string name_of(const LogPosition& at) { return fmt::format("{}{:012}-{:010}", kPrefix, at.segment, at.offset); }

bool is_snapshot(std::string_view name) {
  return name.starts_with(kPrefix) && name.size() == kPrefix.size() + 12 + 1 + 10 &&
         name.find_first_not_of("0123456789-", kPrefix.size()) == std::string_view::npos;
}

std::uint64_t segment_of(const std::string& name) { return std::stoull(name.substr(kPrefix.size(), 12)); }

std::uint32_t crc_of(std::string_view file) { return crc32c(0, file.data() + 8, file.size() - 8); }

}  // namespace

Result<void> write_snapshot(Disk& disk, const std::string& directory, const LogPosition& at, std::string_view bytes) {
  SnapshotHeader header{.at = at, .length = bytes.size()};
  std::string file(sizeof header, '\0');
  std::memcpy(file.data(), &header, sizeof header);
  file += bytes;
  header.crc = crc_of(file);
  std::memcpy(file.data(), &header, sizeof header);

  const std::string draft = directory + "/" + std::string(kDraft);
  auto open = disk.open(draft, OpenMode::kReplace);
  if (!open) return open.error();
  if (auto written = (*open)->write(0, file); !written) return written;
  if (auto synced = (*open)->sync(); !synced) return synced;
  const std::string name = name_of(at);
  if (auto renamed = disk.rename(draft, directory + "/" + name); !renamed) return renamed;
  if (auto synced = disk.sync_directory(directory); !synced) return synced;

  auto names = disk.list(directory);
  if (!names) return names.error();
  std::erase_if(*names, [&](const std::string& other) { return !is_snapshot(other) || other >= name; });
  if (!names->empty()) names->pop_back();
  for (const std::string& old : *names) {
    if (auto removed = disk.remove(directory + "/" + old); !removed) spdlog::warn("{}", removed.error().what);
  }
  return {};
}

Result<std::optional<StoredSnapshot>> read_snapshot(Disk& disk, const std::string& directory,
                                                    const std::vector<std::string>& names, Quarantine& quarantine,
                                                    const std::function<void(const Damage&)>& damaged) {
  std::vector<std::string> found;
  std::copy_if(names.begin(), names.end(), std::back_inserter(found), is_snapshot);
  std::sort(found.rbegin(), found.rend());
  for (auto at = found.begin(); at != found.end(); ++at) {
    const std::string& name = *at;
    auto file = read_file(disk, directory + "/" + name);
    if (!file) return file.error();
    SnapshotHeader header;
    if (file->size() >= sizeof header) {
      std::memcpy(&header, file->data(), sizeof header);
      if (header.magic == format::kSnapshotMagic && header.length == file->size() - sizeof header &&
          header.crc == crc_of(*file)) {
        if (header.version > format::kVersion) {
          return Error{fmt::format("{}/{} has format {}, written by a later version of Detent: run that one", directory,
                                   name, header.version),
                       EPROTO};
        }
        const std::uint64_t before = std::next(at) == found.end() ? 0 : segment_of(*std::next(at));
        return {boost::system::in_place_value, StoredSnapshot{header.at, file->substr(sizeof header), before}};
      }
    }
    Damage damage{.file = name, .bytes = file->size(), .why = "the snapshot does not match its checksum"};
    damage.kept = quarantine.move(name, damage.why).path;
    damaged(damage);
  }
  return {boost::system::in_place_value, std::nullopt};
}

}  // namespace detent
