#include "ledger/repository/repository.h"

#include <fcntl.h>
#include <git2.h>
#include <git2/sys/repository.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <mutex>
#include <utility>

#include "ledger/repository/files.h"
#include "ledger/repository/libgit2.h"
#include "ledger/repository/lock.h"

namespace detent {

const char* const kLedgerEmail = "detent@localhost";

namespace {

/// While it lives, libgit2 syncs what it writes: a setting of the whole process, and so one at a time.
class SyncedWrites {
 public:
  SyncedWrites() : turn_{mutex()} { git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1); }
  ~SyncedWrites() { git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 0); }
  SyncedWrites(const SyncedWrites&) = delete;
  SyncedWrites& operator=(const SyncedWrites&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex only;
    return only;
  }
  std::lock_guard<std::mutex> turn_;
};

}  // namespace

void Repository::Close::operator()(git_repository* repository) const { git_repository_free(repository); }

Repository::Repository(git_repository* repository, std::filesystem::path path)
    : repository_{repository}, path_{std::move(path)} {}
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;
Repository::~Repository() = default;

Result<Repository> Repository::open(const std::filesystem::path& path) {
  start_libgit2();
  git_repository* repository = nullptr;
  forget_git_errors();
  if (git_repository_open_bare(&repository, path.c_str())) {
    auto error = why_git_failed(fmt::format("cannot open the ledger repository {}", path.string()), path);
    if (error.code != EBADMSG) return error;
    if (const auto readable = can_read(path); !readable) return readable.error();
    return error;
  }
  return Repository{repository, path};
}

Result<> Repository::check_config(const std::filesystem::path& path) {
  start_libgit2();
  git_config* raw = nullptr;
  forget_git_errors();
  if (git_config_open_ondisk(&raw, (path / "config").c_str())) {
    return why_git_failed("cannot read " + (path / "config").string(), path);
  }
  git_config_free(raw);
  return {};
}

Result<Repository> Repository::open_or_create(const std::filesystem::path& path, const std::string& branch) {
  start_libgit2();
  std::error_code failed;
  if (std::filesystem::exists(path / "HEAD", failed)) return open(path);
  if (std::filesystem::exists(path, failed) && !std::filesystem::is_empty(path, failed)) {
    return Error{
        fmt::format("[ledger] repository {} is neither a bare git repository nor an empty folder; name another place",
                    path.string())};
  }
  // Made beside its place and moved there whole, so that a crash leaves all of it or nothing.
  std::filesystem::path making = path;
  making += ".making";
  // Broker and dispatcher may both be about to make it.
  const std::filesystem::path lock_file = making.string() + ".lock";
  std::filesystem::create_directories(std::filesystem::absolute(path).parent_path(), failed);
  const auto lock = FileLock::take(lock_file, true);
  if (!lock) return lock.error();
  if (std::filesystem::exists(path / "HEAD", failed)) return open(path);
  std::filesystem::remove_all(making, failed);
  git_repository* repository = nullptr;
  git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
  options.mode = 0700;
  options.initial_head = branch.c_str();
  forget_git_errors();
  if (git_repository_init_ext(&repository, making.c_str(), &options)) {
    return why_git_failed(fmt::format("cannot make the ledger repository {}", path.string()),
                          std::filesystem::absolute(path).parent_path());
  }
  git_repository_free(repository);
  for (const char* part : {"HEAD", "config", "objects", "refs", "."}) {
    if (const auto synced = sync(making / part); !synced) return synced.error();
  }
  if (::rename(making.c_str(), path.c_str())) return system_error("cannot make " + path.string(), errno);
  std::filesystem::remove(lock_file, failed);  // whoever waits for it finds that all is made
  if (const auto synced = sync(std::filesystem::absolute(path).parent_path()); !synced) return synced.error();
  return open(path);
}

Result<> Repository::reopen() {
  auto fresh = open(path_);
  if (!fresh) return fresh.error();
  *this = std::move(*fresh);
  return {};
}

Result<> Repository::ask(std::string_view what, const std::function<int()>& call) const {
  for (bool again = false;; again = true) {
    forget_git_errors();
    if (call() >= 0) return {};
    auto error = why_git_failed(what, path_);
    if (error.code != EBADMSG) return error;
    // libgit2 calls missing what it could not open. Only what is missing when all can be opened is.
    if (const auto readable = can_read(path_); !readable) {
      return Error{fmt::format("{}: {}", what, readable.error().what), readable.error().code};
    }
    if (again) return error;
    git_odb* raw = nullptr;
    if (!git_repository_odb(&raw, repository_.get())) git_odb_refresh(Held<git_odb>{raw}.get());
  }
}

Result<std::optional<Oid>> Repository::ref(const std::string& name) const {
  git_oid id;
  bool there = true;
  const auto read = ask(fmt::format("cannot read {} in {}", name, path_.string()), [&] {
    const int code = git_reference_name_to_id(&id, repository_.get(), name.c_str());
    there = code != GIT_ENOTFOUND;
    return there ? code : 0;
  });
  if (!read) return read.error();
  return there ? std::optional{from_native(&id)} : std::nullopt;
}

Result<> Repository::remove_ref(const std::string& name) {
  return ask(fmt::format("cannot remove {} in {}", name, path_.string()),
             [&] { return git_reference_remove(repository_.get(), name.c_str()); });
}

Result<Repository::Move> Repository::move_ref(const std::string& name, const Oid& to, const std::optional<Oid>& from) {
  if (const auto synced = sync_objects(); !synced) return synced.error();
  const SyncedWrites writes;
  auto outcome = Move::moved;
  const auto moved = ask(fmt::format("cannot move {} in {}", name, path_.string()), [&] {
    git_reference* raw = nullptr;
    const int code = from ? git_reference_create_matching(&raw, repository_.get(), name.c_str(), native(to), 1,
                                                          native(*from), "detent")
                          : git_reference_create(&raw, repository_.get(), name.c_str(), native(to), 0, "detent");
    const Held<git_reference> reference{raw};
    switch (code) {
      case GIT_EMODIFIED:
      case GIT_EEXISTS:
      case GIT_ENOTFOUND:
        outcome = Move::lost;
        return 0;
      case GIT_ELOCKED:
        outcome = Move::locked;
        return 0;
      default:
        return code;
    }
  });
  if (!moved) return moved.error();
  return outcome;
}

Result<> Repository::set_ref(const std::string& name, const Oid& to) {
  if (const auto synced = sync_objects(); !synced) return synced.error();
  const SyncedWrites writes;
  return ask(fmt::format("cannot set {} in {}", name, path_.string()), [&] {
    git_reference* raw = nullptr;
    const int code = git_reference_create(&raw, repository_.get(), name.c_str(), native(to), 1, "detent");
    const Held<git_reference> reference{raw};
    return code;
  });
}

}  // namespace detent
