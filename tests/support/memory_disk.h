// A disk in memory that knows what was synced: it can lose power, forget or tear what was not synced, fail on demand,
// fill up, and rot.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/disk.h"

namespace detent::test {

/// What a power cut makes of what was not synced: all of it kept, all of it lost, or, for each 512-byte sector and each
/// change of a directory by itself, the toss of a seeded coin.
enum class Cut { kKeep, kDrop, kTear };

/// What is asked of the disk or of one of its files.
enum class Call {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kSize,
  kTruncate,
  kRename,
  kRemove,
  kList,
  kMakeDirectory,
  kSyncDirectory,
  kFreeBytes,
  kLock,
};

class MemoryDisk : public Disk {
 public:
  struct Fault {
    std::uint64_t at = 0;      // fails the call with this number (they are counted from 1)
    int code = 0;              // EIO, ENOSPC …
    bool permanent = false;    // and all after it
    bool short_write = false;  // half of the bytes get there first
  };

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<void> make_directory(const std::string& directory) override;
  Result<void> sync_directory(const std::string& directory) override;
  Result<std::uint64_t> free_bytes(const std::string& directory) override;
  bool exists(const std::string& path) override;
  Result<std::uint64_t> size(const std::string& path) override;
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& directory) override;

  /// Every call of Disk or File counts, reads included.
  std::uint64_t calls() const { return calls_; }
  /// From this call on the power is off: it takes effect at most in part, and everything fails.
  void cut_power_at(std::uint64_t call) { cut_at_ = call; }
  bool is_off() const { return off_; }
  /// The machine starts again after the power cut.
  void power_on(Cut cut, std::uint64_t seed);
  /// The process was killed: the page cache survives, its files and locks are closed. Where `cut_power_at` has struck,
  /// it was a kill in the middle of that call instead.
  void kill();

  void fail(const Fault& fault) { fault_ = fault; }
  /// Asked at every call: the errno that it fails with, without effect, or 0. Called under the disk's lock, by any
  /// thread.
  using Failing = std::function<int(Call call, const std::string& path)>;
  void fail_when(Failing failing) {
    const std::lock_guard lock(mutex_);
    failing_ = std::move(failing);
  }
  void heal() {
    const std::lock_guard lock(mutex_);
    fault_.reset();
    failing_ = nullptr;
  }
  bool fault_was_met() const { return fault_met_; }

  /// How many bytes fit; beyond: ENOSPC.
  void set_capacity(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    capacity_ = bytes;
  }
  std::uint64_t used() const {
    const std::lock_guard lock(mutex_);
    return used_locked();
  }

  /// The file's content as it is on the disk, synced; none where there is no such file.
  std::optional<std::string> content(const std::string& path) const;
  void set_content(const std::string& path, std::string bytes);
  /// Stands for the names and bytes of all files, as they are read and as a power cut would leave them.
  std::uint64_t digest() const;

 private:
  friend class MemoryFile;
  struct Inode {
    std::string live;               // what a read sees
    std::string durable;            // what a power cut leaves
    std::set<std::uint64_t> dirty;  // sectors written since the last sync
    std::set<std::uint64_t> stuck;  // sectors whose sync failed: marked clean in the cache, and perhaps not on the disk
    bool size_dirty = false;
  };
  using InodePtr = std::shared_ptr<Inode>;
  struct Change {  // of a directory; `from` empty: created, `to` empty: removed
    std::string from, to;
    InodePtr inode;
  };
  class Lock;

  enum class Effect { kWhole, kHalf, kNone };
  /// Counts a call; what of it takes effect, and the error it returns.
  std::pair<Effect, std::optional<Error>> meet(Call call, const std::string& path);
  Result<void> store(Inode& inode, std::uint64_t offset, std::string_view bytes);
  static void flush(Inode& inode);
  static void fail_flush(Inode& inode);
  std::uint64_t used_locked() const;

  mutable std::mutex mutex_;
  std::map<std::string, InodePtr> live_, durable_;
  std::vector<Change> changes_;
  std::set<std::string> directories_;
  std::set<std::string> locks_;
  std::uint64_t generation_ = 1;  // of the process: older files and locks are closed
  std::uint64_t calls_ = 0;
  std::uint64_t cut_at_ = UINT64_MAX;
  bool off_ = false;
  bool fault_met_ = false;
  std::optional<Fault> fault_;
  Failing failing_;
  std::uint64_t capacity_ = UINT64_MAX;
};

}  // namespace detent::test
