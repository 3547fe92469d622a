#include "tests/support/memory_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/crc32c.h"

namespace detent::test {

namespace {

constexpr std::uint64_t kSector = 512;

Error off() { return {"the power is off", EIO}; }

void copy_sector(const std::string& from, std::string& to, std::uint64_t sector) {
  const std::uint64_t begin = sector * kSector;
  if (begin >= from.size()) return;
  const std::uint64_t length = std::min(kSector, from.size() - begin);
  if (to.size() < begin + length) to.resize(begin + length, '\0');
  std::memcpy(to.data() + begin, from.data() + begin, length);
}

}  // namespace

class MemoryFile : public File {
 public:
  MemoryFile(MemoryDisk& disk, MemoryDisk::InodePtr inode, std::string path)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), generation_(disk.generation_) {}

  Result<void> write(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    return write_locked(offset, bytes, false);
  }

  Result<void> write_durable(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    return write_locked(offset, bytes, true);
  }

  Result<void> sync() override {
    const std::lock_guard lock(disk_.mutex_);
    if (closed()) return off();
    const auto [effect, error] = disk_.meet(Call::kSync, path_);
    if (error) {
      if (!disk_.off_) MemoryDisk::fail_flush(*inode_);
      return *error;
    }
    MemoryDisk::flush(*inode_);
    return {};
  }

  Result<std::size_t> read(std::uint64_t offset, std::span<char> into) override {
    const std::lock_guard lock(disk_.mutex_);
    if (closed()) return off();
    const auto [effect, error] = disk_.meet(Call::kRead, path_);
    if (error) return *error;
    const std::string& bytes = inode_->live;
    if (offset >= bytes.size()) return std::size_t{0};
    const std::size_t got = std::min<std::uint64_t>(into.size(), bytes.size() - offset);
    std::memcpy(into.data(), bytes.data() + offset, got);
    return got;
  }

  Result<std::uint64_t> size() override {
    const std::lock_guard lock(disk_.mutex_);
    if (closed()) return off();
    const auto [effect, error] = disk_.meet(Call::kSize, path_);
    if (error) return *error;
    return std::uint64_t{inode_->live.size()};
  }

  Result<void> truncate(std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    if (closed()) return off();
    const auto [effect, error] = disk_.meet(Call::kTruncate, path_);
    if (error) return *error;
    inode_->live.resize(size, '\0');
    inode_->size_dirty = true;
    return {};
  }

  Result<void> zero_fill(std::uint64_t offset, std::uint64_t length) override {
    const std::string zeros(length, '\0');
    const std::lock_guard lock(disk_.mutex_);
    return write_locked(offset, zeros, true);
  }

  Result<void> allocate(std::uint64_t offset, std::uint64_t length) override { return zero_fill(offset, length); }

 private:
  bool closed() const { return generation_ != disk_.generation_; }

  Result<void> write_locked(std::uint64_t offset, std::string_view bytes, bool durable) {
    if (closed()) return off();
    const auto [effect, error] = disk_.meet(Call::kWrite, path_);
    if (effect == MemoryDisk::Effect::kHalf) bytes = bytes.substr(0, bytes.size() / 2);
    if (effect != MemoryDisk::Effect::kNone) {
      auto stored = disk_.store(*inode_, offset, bytes);
      if (!stored && !error) return stored;
    }
    if (error) {
      if (durable && !disk_.off_) MemoryDisk::fail_flush(*inode_);
      return *error;
    }
    if (durable) MemoryDisk::flush(*inode_);
    return {};
  }

  MemoryDisk& disk_;
  MemoryDisk::InodePtr inode_;
  const std::string path_;  // as it was opened
  const std::uint64_t generation_;
};

class MemoryDisk::Lock : public DirectoryLock {
 public:
  Lock(MemoryDisk& disk, std::string directory)
      : disk_(disk), directory_(std::move(directory)), generation_(disk.generation_) {}
  ~Lock() override {
    const std::lock_guard lock(disk_.mutex_);
    if (generation_ == disk_.generation_) disk_.locks_.erase(directory_);
  }

 private:
  MemoryDisk& disk_;
  const std::string directory_;
  const std::uint64_t generation_;
};

std::pair<MemoryDisk::Effect, std::optional<Error>> MemoryDisk::meet(Call kind, const std::string& path) {
  const bool is_write = kind == Call::kWrite;
  if (off_) return {Effect::kNone, off()};
  const std::uint64_t call = ++calls_;
  if (call >= cut_at_) {
    off_ = true;
    // A write under way when the power goes may have reached the cache, and any of its sectors the disk.
    return {is_write ? Effect::kWhole : Effect::kNone, off()};
  }
  if (const int code = failing_ ? failing_(kind, path) : 0) {
    fault_met_ = true;
    return {Effect::kNone, system_error("a fault of the test", code)};
  }
  if (fault_ && (call == fault_->at || (fault_->permanent && call > fault_->at))) {
    fault_met_ = true;
    const bool half = is_write && fault_->short_write;
    return {half ? Effect::kHalf : (is_write && fault_->code == EIO ? Effect::kWhole : Effect::kNone),
            system_error("a fault of the test", fault_->code)};
  }
  return {Effect::kWhole, std::nullopt};
}

std::uint64_t MemoryDisk::used_locked() const {
  std::uint64_t sum = 0;
  for (const auto& [path, inode] : live_) sum += inode->live.size();
  return sum;
}

Result<void> MemoryDisk::store(Inode& inode, std::uint64_t offset, std::string_view bytes) {
  const std::uint64_t end = offset + bytes.size();
  if (end > inode.live.size()) {
    if (capacity_ != UINT64_MAX && used_locked() + (end - inode.live.size()) > capacity_) {
      return system_error("the test's disk", ENOSPC);
    }
    inode.live.resize(end, '\0');
    inode.size_dirty = true;
  }
  if (bytes.empty()) return {};
  std::memcpy(inode.live.data() + offset, bytes.data(), bytes.size());
  for (std::uint64_t sector = offset / kSector; sector <= (end - 1) / kSector; ++sector) {
    inode.dirty.insert(sector);
    inode.stuck.erase(sector);
  }
  return {};
}

void MemoryDisk::flush(Inode& inode) {
  if (inode.size_dirty) inode.durable.resize(inode.live.size(), '\0');
  for (const std::uint64_t sector : inode.dirty) copy_sector(inode.live, inode.durable, sector);
  inode.dirty.clear();
  inode.size_dirty = false;
}

void MemoryDisk::fail_flush(Inode& inode) {
  inode.stuck.insert(inode.dirty.begin(), inode.dirty.end());
  inode.dirty.clear();
}

void MemoryDisk::kill() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  locks_.clear();
  cut_at_ = UINT64_MAX;
  off_ = false;
}

void MemoryDisk::power_on(Cut cut, std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 coin(seed);
  const auto kept = [&] { return cut == Cut::kKeep || (cut == Cut::kTear && (coin() & 1)); };
  for (const Change& change : changes_) {
    if (!kept()) continue;
    if (!change.from.empty()) {
      const auto old = durable_.find(change.from);
      if (old != durable_.end() && old->second == change.inode) durable_.erase(old);
    }
    if (!change.to.empty()) durable_[change.to] = change.inode;
  }
  changes_.clear();
  std::set<Inode*> seen;
  for (const auto& [path, inode] : durable_) {
    if (!seen.insert(inode.get()).second) continue;
    if (inode->size_dirty && kept()) inode->durable.resize(inode->live.size(), '\0');
    for (const auto* sectors : {&inode->dirty, &inode->stuck}) {
      for (const std::uint64_t sector : *sectors) {
        if (kept()) copy_sector(inode->live, inode->durable, sector);
      }
    }
    inode->live = inode->durable;
    inode->dirty.clear();
    inode->stuck.clear();
    inode->size_dirty = false;
  }
  live_ = durable_;
  ++generation_;
  locks_.clear();
  cut_at_ = UINT64_MAX;
  off_ = false;
}

Result<std::unique_ptr<File>> MemoryDisk::open(const std::string& path, OpenMode mode) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kOpen, path);
  if (error) return *error;
  auto found = live_.find(path);
  const bool makes = mode == OpenMode::kCreate || mode == OpenMode::kReplace;
  if (found == live_.end() && !makes) return system_error("cannot open " + path, ENOENT);
  if (found != live_.end() && mode == OpenMode::kCreate) return system_error("cannot open " + path, EEXIST);
  if (found == live_.end()) {
    if (!directories_.contains(directory_of(path))) return system_error("cannot open " + path, ENOENT);
    found = live_.emplace(path, std::make_shared<Inode>()).first;
    changes_.push_back({"", path, found->second});
  } else if (mode == OpenMode::kReplace) {
    found->second->live.clear();
    found->second->size_dirty = true;
  }
  return std::unique_ptr<File>(std::make_unique<MemoryFile>(*this, found->second, path));
}

Result<void> MemoryDisk::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kRename, from);
  if (error) return *error;
  const auto found = live_.find(from);
  if (found == live_.end()) return system_error("cannot rename " + from, ENOENT);
  changes_.push_back({from, to, found->second});
  live_[to] = found->second;
  live_.erase(from);
  return {};
}

Result<void> MemoryDisk::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kRemove, path);
  if (error) return *error;
  const auto found = live_.find(path);
  if (found == live_.end()) return system_error("cannot remove " + path, ENOENT);
  changes_.push_back({path, "", found->second});
  live_.erase(found);
  return {};
}

Result<std::vector<std::string>> MemoryDisk::list(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kList, directory);
  if (error) return *error;
  if (!directories_.contains(directory)) return system_error("cannot list " + directory, ENOENT);
  std::vector<std::string> names;
  for (const auto& [path, inode] : live_) {
    if (directory_of(path) == directory) names.push_back(path.substr(directory.size() + 1));
  }
  for (const std::string& path : directories_) {
    if (path != directory && directory_of(path) == directory) names.push_back(path.substr(directory.size() + 1));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> MemoryDisk::make_directory(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kMakeDirectory, directory);
  if (error) return *error;
  for (std::string path = directory; path != "." && path != "/"; path = directory_of(path)) directories_.insert(path);
  return {};
}

Result<void> MemoryDisk::sync_directory(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kSyncDirectory, directory);
  if (error) return *error;
  std::vector<Change> others;
  for (const Change& change : changes_) {
    if (directory_of(change.from) != directory && directory_of(change.to) != directory) {
      others.push_back(change);
      continue;
    }
    if (!change.from.empty()) {
      const auto old = durable_.find(change.from);
      if (old != durable_.end() && old->second == change.inode) durable_.erase(old);
    }
    if (!change.to.empty()) durable_[change.to] = change.inode;
  }
  changes_ = std::move(others);
  return {};
}

Result<std::uint64_t> MemoryDisk::free_bytes(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kFreeBytes, directory);
  if (error) return *error;
  return capacity_ == UINT64_MAX ? std::uint64_t{1} << 40 : capacity_ - std::min(capacity_, used_locked());
}

bool MemoryDisk::exists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return live_.contains(path) || directories_.contains(path);
}

Result<std::uint64_t> MemoryDisk::size(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kSize, path);
  if (error) return *error;
  const auto found = live_.find(path);
  if (found == live_.end()) return system_error("cannot look at " + path, ENOENT);
  return std::uint64_t{found->second->live.size()};
}

Result<std::unique_ptr<DirectoryLock>> MemoryDisk::lock(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const auto [effect, error] = meet(Call::kLock, directory);
  if (error) return *error;
  if (!locks_.insert(directory).second) return system_error("cannot lock " + directory, EWOULDBLOCK);
  return std::unique_ptr<DirectoryLock>(std::make_unique<Lock>(*this, directory));
}

std::optional<std::string> MemoryDisk::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(path);
  if (found == live_.end()) return std::nullopt;
  return found->second->live;
}

std::uint64_t MemoryDisk::digest() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t digest = 0;
  for (const auto* files : {&live_, &durable_}) {
    for (const auto& [path, inode] : *files) {
      std::uint32_t crc = 0;
      for (const std::string_view bytes :
           {std::string_view(path), std::string_view(inode->live), std::string_view(inode->durable)})
        crc = crc32c(crc, bytes.data(), bytes.size());
      digest = digest * 0x9e3779b97f4a7c15 + crc;
    }
  }
  return digest;
}

void MemoryDisk::set_content(const std::string& path, std::string bytes) {
  const std::lock_guard lock(mutex_);
  auto& inode = live_[path];
  if (!inode) inode = std::make_shared<Inode>();
  inode->live = inode->durable = std::move(bytes);
  inode->dirty.clear();
  inode->stuck.clear();
  inode->size_dirty = false;
  durable_[path] = inode;
}

}  // namespace detent::test
