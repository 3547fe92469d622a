// The seam between what must survive and the machine: files, directories and what a sync promises. Production uses
// RealDisk; the tests' disk forgets what was not synced, tears what was under way and fails on demand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace detent {

/// An open file. One thread at a time, but several File objects of one path may be used by several threads.
/// After a failed write or sync the file's content is unknown: never retry there, write elsewhere.
class File {
 public:
  virtual ~File() = default;

  /// Writes all of `bytes` or fails; after a failure any part of them may be there.
  virtual Result<void> write(std::uint64_t offset, std::string_view bytes) = 0;
  /// What was written is on the disk, and so is the size needed to read it back (fdatasync).
  virtual Result<void> sync() = 0;
  /// Write and sync as one: on Linux one system call with the file's other dirty pages left alone.
  virtual Result<void> write_durable(std::uint64_t offset, std::string_view bytes) = 0;
  /// Reads until `into` is full or the file ends; returns how many bytes.
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<char> into) = 0;
  virtual Result<std::uint64_t> size() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  /// Writes real zeros (not a hole, not an unwritten extent) and syncs as it goes, in bites small enough that
  /// another file's sync need not wait for all of it.
  virtual Result<void> zero_fill(std::uint64_t offset, std::uint64_t length) = 0;
  /// Room that is sure to be there and reads as zeros, synced. Where the file system can give it without writing (an
  /// unwritten extent), this costs nothing, but each first write to it then changes metadata too; else as `zero_fill`.
  virtual Result<void> allocate(std::uint64_t offset, std::uint64_t length) = 0;
};

enum class OpenMode {
  kRead,    // must exist
  kWrite,   // read and write, must exist
  kCreate,  // read and write, must not exist
  kReplace  // read and write, made where missing, emptied where not
};

/// Keeps a directory for one process; let go of when destroyed or when the process ends, however it ends.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

/// Any thread. Names in a directory are durable only after `sync_directory`.
class Disk {
 public:
  virtual ~Disk() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  /// Replaces `to` where it exists; atomic, also over a power cut.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  /// Names (not paths) of the files and directories in it, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  /// Makes it, and its parents, where missing; durable when it returns.
  virtual Result<void> make_directory(const std::string& directory) = 0;
  virtual Result<void> sync_directory(const std::string& directory) = 0;
  /// Bytes that this process may still write to the directory's file system.
  virtual Result<std::uint64_t> free_bytes(const std::string& directory) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> size(const std::string& path) = 0;
  /// Fails with EWOULDBLOCK where another process holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& directory) = 0;
};

class RealDisk : public Disk {
 public:
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
};

/// The whole file; fails with EFBIG where it is larger than `at_most`.
Result<std::string> read_file(Disk& disk, const std::string& path, std::uint64_t at_most = 1ull << 30);

/// Replaces the file by one rename, so that a reader, and a power cut, see the old content or the new one; durable when
/// it returns. Uses `path` + ".tmp" on the way.
Result<void> replace_file(Disk& disk, const std::string& path, std::string_view bytes);

/// "a/b" of "a/b/c", "." of "c".
std::string directory_of(const std::string& path);

}  // namespace detent
