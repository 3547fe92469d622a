#include "ledger/repository/libgit2.h"

#include <fcntl.h>
#include <git2.h>
#include <spdlog/fmt/fmt.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>
#if __has_include(<git2/sys/errors.h>)
#include <git2/sys/errors.h>  // git_error_clear, from libgit2 1.8 on
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace detent {

void Free::operator()(git_blob* it) const { git_blob_free(it); }
void Free::operator()(git_commit* it) const { git_commit_free(it); }
void Free::operator()(git_config* it) const { git_config_free(it); }
void Free::operator()(git_odb* it) const { git_odb_free(it); }
void Free::operator()(git_reference* it) const { git_reference_free(it); }
void Free::operator()(git_signature* it) const { git_signature_free(it); }
void Free::operator()(git_tree* it) const { git_tree_free(it); }
void Free::operator()(git_treebuilder* it) const { git_treebuilder_free(it); }

void start_libgit2() {
  static const bool started = [] {
    git_libgit2_init();
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, static_cast<ssize_t>(4 << 20));
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, static_cast<size_t>(1 << 20));
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, static_cast<size_t>(16 << 20));
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, static_cast<size_t>(64));
    // libgit2 runs no hooks and no commands of a repository's config, so that whose it is does not matter for reading
    // it.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    return true;
  }();
  (void)started;
}

void forget_git_errors() {
  git_error_clear();
  errno = 0;
}

namespace {

/// What the system says where it is short of something, or where the disk is at fault.
constexpr std::array kSystem{ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EIO, EROFS, EFBIG};
constexpr unsigned kSpareFiles = 8;  // libgit2 opens a pack, its index and a few more at once
constexpr std::size_t kSpareMemory = 1 << 20;

bool is_system(int number) { return std::find(kSystem.begin(), kSystem.end(), number) != kSystem.end(); }

/// The errno behind an error of libgit2's, which writes it into the message, or keeps silent about it; 0: none.
int number_of(const git_error* error, int number, const std::filesystem::path& path) {
  const bool silent = !error || !error->message;
  if (!silent && error->klass == GIT_ERROR_NOMEMORY) return ENOMEM;
  if (!silent && error->klass == GIT_ERROR_OS) {
    const std::string_view text = error->message;
    for (const int one : {ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EIO, EROFS, EFBIG, EACCES, EPERM}) {
      if (text.ends_with(std::strerror(one))) return one;
    }
  }
  if (is_system(number)) return number;
  struct statvfs disk {};
  if ((silent || error->klass == GIT_ERROR_OS) && !statvfs(path.c_str(), &disk) && disk.f_bavail == 0) return ENOSPC;
  return !silent && error->klass != GIT_ERROR_OS ? 0 : EIO;
}

class File {
 public:
  File(const std::filesystem::path& path, int flags) : file_{::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC)} {}
  File(File&& other) noexcept : file_{std::exchange(other.file_, -1)} {}
  File& operator=(File&&) = delete;
  ~File() {
    if (file_ >= 0) close(file_);
  }
  bool open() const { return file_ >= 0; }
  bool readable() const {
    char byte;
    return ::read(file_, &byte, 1) >= 0;
  }

 private:
  int file_;
};

}  // namespace

Error why_git_failed(std::string_view what, const std::filesystem::path& path) {
  const int left = errno;
  const auto* last = git_error_last();
  const int number = number_of(last, left, path);
  if (!last || !last->message || (number && is_system(number))) return system_error(what, number);
  return {fmt::format("{}: {}", what, last->message), number ? number : EBADMSG};
}

Result<> can_read(const std::filesystem::path& repository) {
  const auto no = [&](const std::filesystem::path& path) {
    return system_error("cannot read " + path.string(), errno);
  };
  std::vector<File> spare;
  for (unsigned i = 0; i < kSpareFiles; ++i) {
    if (!spare.emplace_back(repository, O_DIRECTORY).open()) return no(repository);
  }
  void* memory = mmap(nullptr, kSpareMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return no(repository);
  munmap(memory, kSpareMemory);
  for (const char* folder : {"objects", "refs", "refs/heads", "objects/pack"}) {
    if (!File(repository / folder, O_DIRECTORY).open() && errno != ENOENT) return no(repository / folder);
  }
  std::error_code failed;
  const auto packs = repository / "objects/pack";
  for (std::filesystem::directory_iterator at{packs, failed}, end; !failed && at != end; at.increment(failed)) {
    const File file(at->path(), 0);
    if (file.open() ? !file.readable() : errno != ENOENT) return no(at->path());
  }
  if (failed && failed != std::errc::no_such_file_or_directory) {
    return system_error("cannot read " + packs.string(), failed.value());
  }
  return {};
}

const git_oid* native(const Oid& id) { return reinterpret_cast<const git_oid*>(id.bytes.data()); }

Oid from_native(const git_oid* id) {
  Oid out;
  std::memcpy(out.bytes.data(), id->id, out.bytes.size());
  return out;
}

std::string Oid::hex() const {
  char text[GIT_OID_HEXSZ + 1];
  git_oid_tostr(text, sizeof text, native(*this));
  return text;
}

std::optional<Oid> Oid::from_hex(std::string_view text) {
  git_oid id;
  if (text.size() != GIT_OID_HEXSZ || git_oid_fromstrn(&id, text.data(), text.size())) return std::nullopt;
  return from_native(&id);
}

}  // namespace detent
