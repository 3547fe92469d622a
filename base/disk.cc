#include "base/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "base/descriptors.h"

namespace detent {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

template <class Call>
auto repeat_on_signal(Call call) {
  auto answer = call();
  while (answer < 0 && errno == EINTR) answer = call();
  return answer;
}

Error failed(const char* what, const std::string& path) { return system_error(what + (" " + path), errno); }

class RealFile : public File {
 public:
  RealFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  Result<void> write(std::uint64_t offset, std::string_view bytes) override { return write(offset, bytes, 0); }

  Result<void> sync() override {
    // Not repeated, not even after EINTR: a second sync can report success for what the first one lost.
    if (::fdatasync(fd_.get()) != 0) return failed("cannot sync", path_);
    return {};
  }

  Result<void> write_durable(std::uint64_t offset, std::string_view bytes) override {
    if (!durable_writes_) {
      if (auto written = write(offset, bytes, 0); !written) return written;
      return sync();
    }
    auto written = write(offset, bytes, RWF_DSYNC);
    if (written || (written.error().code != EOPNOTSUPP && written.error().code != ENOSYS)) return written;
    durable_writes_ = false;
    return write_durable(offset, bytes);
  }

  Result<std::size_t> read(std::uint64_t offset, std::span<char> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const auto got = repeat_on_signal([&] {
        return ::pread(fd_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      });
      if (got < 0) return failed("cannot read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<std::uint64_t> size() override {
    struct stat info;
    if (::fstat(fd_.get(), &info) != 0) return failed("cannot look at", path_);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<void> truncate(std::uint64_t size) override {
    if (repeat_on_signal([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0)
      return failed("cannot truncate", path_);
    return {};
  }

  Result<void> zero_fill(std::uint64_t offset, std::uint64_t length) override {
    const std::vector<char> zeros(std::min<std::uint64_t>(length, 1 << 20));
    while (length > 0) {
      const auto bite = std::min<std::uint64_t>(length, zeros.size());
      if (auto written = write_durable(offset, {zeros.data(), bite}); !written) return written;
      offset += bite;
      length -= bite;
    }
    return sync();
  }

  Result<void> allocate(std::uint64_t offset, std::uint64_t length) override {
    const auto made = repeat_on_signal([&] {
      return ::fallocate(fd_.get(), FALLOC_FL_ZERO_RANGE, static_cast<off_t>(offset), static_cast<off_t>(length));
    });
    if (made == 0) return sync();
    if (errno == EOPNOTSUPP || errno == ENOSYS) return zero_fill(offset, length);
    return failed("cannot allocate", path_);
  }

 private:
  Result<void> write(std::uint64_t offset, std::string_view bytes, int flags) {
    while (!bytes.empty()) {
      iovec part{const_cast<char*>(bytes.data()), bytes.size()};
      const auto put =
          repeat_on_signal([&] { return ::pwritev2(fd_.get(), &part, 1, static_cast<off_t>(offset), flags); });
      if (put <= 0)
        return put < 0 ? failed("cannot write", path_) : Error{"cannot write " + path_ + ": no progress", EIO};
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Descriptor fd_;
  std::string path_;
  bool durable_writes_ = true;
};

class FlockedDirectory : public DirectoryLock {
 public:
  explicit FlockedDirectory(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;
};

int open_directory(const std::string& path) { return open_file(path, O_RDONLY | O_DIRECTORY); }

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kReplace:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

}  // namespace

Result<std::unique_ptr<File>> RealDisk::open(const std::string& path, OpenMode mode) {
  const int fd = open_file(path, flags_of(mode), 0600);
  if (fd < 0) return failed("cannot open", path);
  return std::unique_ptr<File>(std::make_unique<RealFile>(fd, path));
}

Result<void> RealDisk::rename(const std::string& from, const std::string& to) {
  if (repeat_on_signal([&] { return ::rename(from.c_str(), to.c_str()); }) != 0)
    return failed("cannot rename", from + " to " + to);
  return {};
}

Result<void> RealDisk::remove(const std::string& path) {
  if (repeat_on_signal([&] { return ::unlink(path.c_str()); }) != 0) return failed("cannot remove", path);
  return {};
}

Result<std::vector<std::string>> RealDisk::list(const std::string& directory) {
  const int fd = open_directory(directory);
  if (fd < 0) return failed("cannot list", directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  if (!stream) {
    const Error error = failed("cannot list", directory);
    ::close(fd);
    return error;
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return failed("cannot list", directory);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> RealDisk::make_directory(const std::string& directory) {
  const auto make = [&] { return repeat_on_signal([&] { return ::mkdir(directory.c_str(), 0700); }); };
  if (make() == 0) return sync_directory(directory_of(directory));
  if (errno == ENOENT) {
    if (auto made = make_directory(directory_of(directory)); !made) return made;
    if (make() == 0) return sync_directory(directory_of(directory));
  }
  struct stat info;
  if (errno == EEXIST && ::stat(directory.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    errno = ENOTDIR;
  }
  return failed("cannot make the directory", directory);
}

Result<void> RealDisk::sync_directory(const std::string& directory) {
  const Descriptor fd(open_directory(directory));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) return failed("cannot sync the directory", directory);
  return {};
}

Result<std::uint64_t> RealDisk::free_bytes(const std::string& directory) {
  struct statvfs info;
  if (repeat_on_signal([&] { return ::statvfs(directory.c_str(), &info); }) != 0)
    return failed("cannot ask for the free space of", directory);
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

bool RealDisk::exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<std::uint64_t> RealDisk::size(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return failed("cannot look at", path);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<std::unique_ptr<DirectoryLock>> RealDisk::lock(const std::string& directory) {
  const int fd = open_directory(directory);
  if (fd < 0) return failed("cannot open", directory);
  auto locked = std::make_unique<FlockedDirectory>(fd);
  if (repeat_on_signal([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return failed("cannot lock", directory);
    return Error{directory + " is in use by another process: only one may use it at a time", EWOULDBLOCK};
  }
  return std::unique_ptr<DirectoryLock>(std::move(locked));
}

Result<std::string> read_file(Disk& disk, const std::string& path, std::uint64_t at_most) {
  auto file = disk.open(path, OpenMode::kRead);
  if (!file) return file.error();
  auto size = (*file)->size();
  if (!size) return size.error();
  if (*size > at_most) return Error{path + " has " + std::to_string(*size) + " bytes, which is too many", EFBIG};
  std::string bytes(*size, '\0');
  auto got = (*file)->read(0, bytes);
  if (!got) return got.error();
  bytes.resize(*got);
  return {boost::system::in_place_value, std::move(bytes)};
}

Result<void> replace_file(Disk& disk, const std::string& path, std::string_view bytes) {
  const std::string draft = path + ".tmp";
  auto file = disk.open(draft, OpenMode::kReplace);
  if (!file) return file.error();
  if (auto written = (*file)->write(0, bytes); !written) return written;
  if (auto synced = (*file)->sync(); !synced) return synced;
  if (auto renamed = disk.rename(draft, path); !renamed) return renamed;
  return disk.sync_directory(directory_of(path));
}

std::string directory_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace detent
