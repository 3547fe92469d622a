#include "journal/ids.h"

#include <endian.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <set>

#include "base/crc32c.h"
#include "journal/quarantine.h"

namespace detent {

static_assert(sizeof(KnownId) == 24 && std::endian::native == std::endian::little);

namespace {

// A file: the header, alone in its block; blocks of sorted ids, each with its checksum; the first id of every block.
constexpr std::uint32_t kMagic = 0x44495444;  // "DTID"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kBlock = 4096;
constexpr std::size_t kIdsInBlock = 170;
constexpr std::size_t kMaxOpen = 32;
constexpr std::string_view kSuffix = ".ids";

struct IdHeader {
  std::uint32_t magic = kMagic;
  std::uint32_t crc = 0;  // of all behind it
  std::uint32_t version = kVersion;
  std::uint32_t blocks = 0;
  std::uint64_t count = 0;
  std::uint64_t oldest_ms = 0;
  std::uint64_t newest_ms = 0;
  std::uint64_t segment = 0;
  std::uint32_t index_crc = 0;
  std::uint32_t reserved = 0;

  std::uint64_t index_at() const { return kBlock * (1 + std::uint64_t{blocks}); }
  std::uint64_t file_bytes() const { return index_at() + sizeof(SignalId) * std::uint64_t{blocks}; }
};
static_assert(sizeof(IdHeader) == 56);

struct Block {
  std::uint32_t crc = 0;  // of all behind it
  std::uint32_t count = 0;
  KnownId ids[kIdsInBlock];
  std::uint64_t reserved = 0;
};
static_assert(sizeof(Block) == kBlock);

template <class Fields>
std::uint32_t crc_of(const Fields& fields, std::size_t from) {
  return crc32c(0, reinterpret_cast<const char*>(&fields) + from, sizeof fields - from);
}

struct Fence {
  SignalId first;
  std::uint32_t block;
};

std::string name_of(std::uint64_t segment) { return fmt::format("{:012}{}", segment, kSuffix); }

std::optional<std::uint64_t> segment_of(std::string_view name) {
  std::uint64_t segment = 0;
  std::from_chars(name.data(), name.data() + name.size(), segment);
  if (segment == 0 || name_of(segment) != name) return std::nullopt;
  return segment;
}

/// Eight bytes of it such that numbers compare as the bytes do.
std::uint64_t word(const SignalId& id, int which) {
  std::uint64_t bytes;
  std::memcpy(&bytes, id.data() + 8 * which, 8);
  return be64toh(bytes);
}

/// A type, so that sorting a segment's ids takes it in whole.
struct ById {
  bool operator()(const KnownId& a, const KnownId& b) const {
    const std::uint64_t first = word(a.id, 0), other = word(b.id, 0);
    return first != other ? first < other : word(a.id, 1) < word(b.id, 1);
  }
};

std::string encode(std::uint64_t segment, std::vector<KnownId> ids) {
  // They come as they were published, and one publisher's ascend.
  if (!std::is_sorted(ids.begin(), ids.end(), ById{})) std::sort(ids.begin(), ids.end(), ById{});
  IdHeader header{.blocks = static_cast<std::uint32_t>((ids.size() + kIdsInBlock - 1) / kIdsInBlock),
                  .count = ids.size(),
                  .segment = segment};
  std::string bytes(header.file_bytes(), '\0');
  char* index = bytes.data() + header.index_at();
  for (std::uint32_t b = 0; b < header.blocks; ++b) {
    const std::size_t first = b * kIdsInBlock;
    Block block;
    block.count = static_cast<std::uint32_t>(std::min(kIdsInBlock, ids.size() - first));
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(first), block.count, block.ids);
    block.crc = crc_of(block, 4);
    std::memcpy(bytes.data() + kBlock * (1 + std::size_t{b}), &block, sizeof block);
    std::memcpy(index + sizeof(SignalId) * b, ids[first].id.data(), sizeof(SignalId));
  }
  if (!ids.empty()) {
    header.oldest_ms = time_of(ids.front().id);
    header.newest_ms = time_of(ids.back().id);
  }
  header.index_crc = crc32c(0, index, sizeof(SignalId) * header.blocks);
  header.crc = crc_of(header, 8);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

}  // namespace

struct IdFiles::State {
  struct Sealed {
    IdHeader header;
    std::unique_ptr<File> file;
    std::optional<std::vector<Fence>> fences;  // read at first use
    std::unique_ptr<Block> block;              // the one read last: ids of one time lie together
    std::uint32_t block_number = UINT32_MAX;
    std::set<std::uint32_t> damaged;
  };

  State(Disk& the_disk, std::string the_directory, std::function<void(const IdDamage&)> on_damage)
      : disk(the_disk),
        directory(std::move(the_directory)),
        damaged(std::move(on_damage)),
        quarantine(disk, directory) {}

  void report(std::uint64_t segment, std::string why, Quarantine::Kept kept) {
    spdlog::error("{}/{}: {}", directory, name_of(segment), why);
    if (damaged) damaged({name_of(segment), std::move(why), kept.path});
  }

  Result<void> add(std::uint64_t segment);
  Result<void> open(std::uint64_t segment, Sealed& sealed);
  Result<void> read_index(std::uint64_t segment, Sealed& sealed);
  Result<const Block*> read_block(std::uint64_t segment, Sealed& sealed, std::uint32_t number);
  Result<std::optional<std::uint64_t>> find_in(std::uint64_t segment, Sealed& sealed, const SignalId& id);

  Disk& disk;
  const std::string directory;
  std::function<void(const IdDamage&)> damaged;
  Quarantine quarantine;
  std::map<std::uint64_t, Sealed, std::greater<>> files;  // newest first
  std::uint64_t newest_ms = 0;
  std::size_t open_files = 0;
  std::optional<Error> failing;
  SignalId failing_id{};  // that was looked for then
};

IdFiles::IdFiles(std::unique_ptr<State> state) : state_(std::move(state)) {}
IdFiles::IdFiles(IdFiles&&) noexcept = default;
IdFiles& IdFiles::operator=(IdFiles&&) noexcept = default;
IdFiles::~IdFiles() = default;

Result<IdFiles> IdFiles::open(Disk& disk, const std::string& directory, std::function<void(const IdDamage&)> damaged) {
  if (auto made = disk.make_directory(directory); !made) return made.error();
  auto names = disk.list(directory);
  if (!names) return names.error();
  // A process that was killed may have named a file and not synced the name: what is built on it would outlive it.
  if (auto synced = disk.sync_directory(directory); !synced) return synced.error();
  auto state = std::make_unique<State>(disk, directory, std::move(damaged));
  for (const std::string& name : *names) {
    if (name.ends_with(".ids.tmp")) {
      if (auto removed = disk.remove(directory + "/" + name); !removed) return removed.error();
      continue;
    }
    const auto segment = segment_of(name);
    if (!segment) continue;
    if (auto added = state->add(*segment); !added) {
      if (added.error().code != EBADMSG) return added.error();
      state->report(*segment, added.error().what, state->quarantine.move(name, added.error().what));
    }
  }
  return IdFiles(std::move(state));
}

Result<void> IdFiles::write(Disk& disk, const std::string& directory, std::uint64_t segment, std::vector<KnownId> ids) {
  return replace_file(disk, directory + "/" + name_of(segment), encode(segment, std::move(ids)));
}

Result<void> IdFiles::add(std::uint64_t segment) { return state_->add(segment); }

Result<void> IdFiles::State::add(std::uint64_t segment) {
  const std::string path = directory + "/" + name_of(segment);
  auto file = disk.open(path, OpenMode::kRead);
  if (!file) return file.error();
  Sealed sealed;
  auto got = (*file)->read(0, {reinterpret_cast<char*>(&sealed.header), sizeof sealed.header});
  if (!got) return got.error();
  auto size = (*file)->size();
  if (!size) return size.error();
  const IdHeader& header = sealed.header;
  if (*got < sizeof header || header.magic != kMagic || header.crc != crc_of(header, 8) || header.segment != segment) {
    return Error{path + ": its header is damaged", EBADMSG};
  }
  if (header.version != kVersion) {
    return Error{
        fmt::format("{} has format {}, written by a later version of Detent: run that one", path, header.version),
        EPROTO};
  }
  // Its blocks are checked one by one as they are read, so what is left of a truncated file still counts.
  if (*size < header.file_bytes()) {
    const std::string why =
        fmt::format("{} of its {} bytes are missing", header.file_bytes() - *size, header.file_bytes());
    report(segment, why, quarantine.copy(name_of(segment), 0, *size, why));
  }
  newest_ms = std::max(newest_ms, header.newest_ms);
  if (const auto old = files.find(segment); old != files.end() && old->second.file) --open_files;
  files.insert_or_assign(segment, std::move(sealed));
  return {};
}

Result<void> IdFiles::State::open(std::uint64_t segment, Sealed& sealed) {
  if (sealed.file) return {};
  if (open_files >= kMaxOpen) {
    for (auto& [other, one] : files) one.file.reset();
    open_files = 0;
  }
  const std::string path = directory + "/" + name_of(segment);
  auto file = disk.open(path, OpenMode::kRead);
  if (!file && open_files > 0 && (file.error().code == EMFILE || file.error().code == ENFILE)) {
    for (auto& [other, one] : files) one.file.reset();
    open_files = 0;
    file = disk.open(path, OpenMode::kRead);
  }
  if (!file) return file.error();
  sealed.file = std::move(*file);
  ++open_files;
  return {};
}

Result<void> IdFiles::State::read_index(std::uint64_t segment, Sealed& sealed) {
  if (auto opened = open(segment, sealed); !opened) return opened;
  std::vector<SignalId> index(sealed.header.blocks);
  const std::size_t bytes = sizeof(SignalId) * index.size();
  auto got = sealed.file->read(sealed.header.index_at(), {reinterpret_cast<char*>(index.data()), bytes});
  if (!got) return got.error();
  if (*got != bytes || crc32c(0, index.data(), bytes) != sealed.header.index_crc) {
    const std::string why = "its index is damaged; it is made again from the blocks";
    report(segment, why, quarantine.copy(name_of(segment), sealed.header.index_at(), bytes, why));
    sealed.fences.emplace();
    for (std::uint32_t number = 0; number < sealed.header.blocks; ++number) {
      auto block = read_block(segment, sealed, number);
      if (!block) {
        sealed.fences.reset();
        return block.error();
      }
      if (*block != nullptr) sealed.fences->push_back({(*block)->ids[0].id, number});
    }
    return {};
  }
  sealed.fences.emplace();
  for (std::uint32_t number = 0; number < index.size(); ++number) sealed.fences->push_back({index[number], number});
  return {};
}

Result<const Block*> IdFiles::State::read_block(std::uint64_t segment, Sealed& sealed, std::uint32_t number) {
  if (sealed.block_number == number) return sealed.block.get();
  if (sealed.damaged.contains(number)) return nullptr;
  if (auto opened = open(segment, sealed); !opened) return opened.error();
  if (!sealed.block) sealed.block = std::make_unique<Block>();
  sealed.block_number = UINT32_MAX;
  Block& block = *sealed.block;
  const std::uint64_t offset = kBlock * (1 + std::uint64_t{number});
  auto got = sealed.file->read(offset, {reinterpret_cast<char*>(&block), sizeof block});
  if (!got) return got.error();
  if (*got != sizeof block || block.crc != crc_of(block, 4) || block.count == 0 || block.count > kIdsInBlock) {
    sealed.damaged.insert(number);
    const std::string why = fmt::format("block {} of {} is damaged: repeats of up to {} ids will not be known", number,
                                        sealed.header.blocks, kIdsInBlock);
    report(segment, why, quarantine.copy(name_of(segment), offset, kBlock, why));
    return nullptr;
  }
  sealed.block_number = number;
  return &block;
}

Result<std::optional<std::uint64_t>> IdFiles::State::find_in(std::uint64_t segment, Sealed& sealed,
                                                             const SignalId& id) {
  const auto none = std::optional<std::uint64_t>();
  if (sealed.header.blocks == 0) return {boost::system::in_place_value, none};
  if (!sealed.fences) {
    if (auto read = read_index(segment, sealed); !read) return read.error();
  }
  const auto behind = std::upper_bound(sealed.fences->begin(), sealed.fences->end(), id,
                                       [](const SignalId& one, const Fence& fence) { return one < fence.first; });
  if (behind == sealed.fences->begin()) return {boost::system::in_place_value, none};
  auto block = read_block(segment, sealed, std::prev(behind)->block);
  if (!block) return block.error();
  if (*block == nullptr) return {boost::system::in_place_value, none};
  const KnownId* const end = (*block)->ids + (*block)->count;
  const KnownId* const found = std::lower_bound((*block)->ids, end, KnownId{id, 0}, ById{});
  if (found == end || found->id != id) return {boost::system::in_place_value, none};
  return {boost::system::in_place_value, found->content};
}

Result<std::optional<std::uint64_t>> IdFiles::find(const SignalId& id) {
  const std::uint64_t ms = time_of(id);
  if (ms <= state_->newest_ms) {
    for (auto& [segment, sealed] : state_->files) {
      if (ms < sealed.header.oldest_ms || ms > sealed.header.newest_ms) continue;
      auto found = state_->find_in(segment, sealed, id);
      if (!found) {
        state_->failing = found.error();
        state_->failing_id = id;
      }
      if (!found || *found) return found;
    }
  }
  return {boost::system::in_place_value, std::nullopt};
}

const std::optional<Error>& IdFiles::failing() const { return state_->failing; }

void IdFiles::probe() {
  if (!state_->failing) return;
  if (find(state_->failing_id)) state_->failing.reset();
}

bool IdFiles::has(std::uint64_t segment) const { return state_->files.contains(segment); }

std::size_t IdFiles::count() const {
  std::size_t sum = 0;
  for (const auto& [segment, sealed] : state_->files) sum += sealed.header.count;
  return sum;
}

Result<std::size_t> IdFiles::prune(std::uint64_t wall_ms) {
  std::size_t pruned = 0;
  for (auto it = state_->files.begin(); it != state_->files.end();) {
    if (it->second.header.newest_ms >= wall_ms) {
      ++it;
      continue;
    }
    auto removed = state_->disk.remove(state_->directory + "/" + name_of(it->first));
    if (!removed && removed.error().code != ENOENT) {
      return removed.error();
    }
    if (it->second.file) --state_->open_files;
    it = state_->files.erase(it);
    ++pruned;
  }
  return pruned;
}

}  // namespace detent
