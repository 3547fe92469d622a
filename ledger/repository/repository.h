// A bare git repository as objects and refs: no worktree, no index, and the only place that sees libgit2.
//
// An error's code is EBADMSG where what the repository holds is damaged or missing, seen twice while everything could
// be opened; any other code is the system's (no descriptor, no memory, no space, no access), and the same may succeed
// later.
//
// Used by one thread at a time. libgit2's caches are capped for the whole process.
//
// Durable before visible: no ref moves before the objects written since the last move are synced. libgit2 would sync
// each object and its folder as it writes it, some twenty waits for the disk in a commit; here all are handed to the
// disk first and then waited for, which it answers mostly at once.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

struct git_oid;
struct git_repository;

namespace detent {

struct Free;

struct Oid {
  std::array<unsigned char, 20> bytes{};
  std::string hex() const;
  static std::optional<Oid> from_hex(std::string_view text);
  friend auto operator<=>(const Oid&, const Oid&) = default;
};

struct Commit {
  Oid id;
  Oid tree;
  std::vector<Oid> parents;
  std::string message;
  std::string author;  // e-mail addresses
  std::string committer;
  Millis time{0};
};

struct TreeEntry {
  std::string name;
  Oid id;
  bool folder = false;
};

class Repository {
 public:
  /// Opens the bare repository at `path`.
  static Result<Repository> open(const std::filesystem::path& path);
  /// The same, and makes it where there is none, with HEAD on `branch` ("detent/ledger").
  static Result<Repository> open_or_create(const std::filesystem::path& path, const std::string& branch);

  /// Whether git can read the config of the repository at `path`.
  static Result<> check_config(const std::filesystem::path& path);

  Repository(Repository&&) noexcept;
  Repository& operator=(Repository&&) noexcept;
  ~Repository();

  /// Lets go of packs that are gone and sees those that are new, after git has repacked.
  Result<> reopen();

  Result<std::optional<Oid>> ref(const std::string& name) const;
  Result<Commit> commit(const Oid& id) const;
  /// The entry at `path` ("signals/2026/11") in a tree; none where nothing is there.
  Result<std::optional<TreeEntry>> find(const Oid& tree, const std::string& path) const;
  Result<std::vector<TreeEntry>> entries(const Oid& tree) const;
  Result<std::string> blob(const Oid& id) const;
  /// Whether `commit` has `ancestor` among its ancestors. A commit is none of its own.
  Result<bool> descends(const Oid& commit, const Oid& ancestor) const;
  /// The newest commit that both have among their ancestors, or are; none where they have nothing in common.
  Result<std::optional<Oid>> merge_base(const Oid& one, const Oid& other) const;
  /// All commits that can be read, in no order, whether or not a ref leads to them. Takes as long as there are objects.
  Result<> each_commit(const std::function<void(Commit)>& each) const;

  struct File {
    std::string path;
    std::string_view content;
    bool unique = false;  // nothing else in the repository has this content
  };
  /// A file that stands, with content that the repository has already, or is to stand no more.
  struct Placed {
    std::string path;
    std::optional<Oid> blob;  // none: what stands there goes
  };
  /// `base` (or an empty tree) with these files in it.
  Result<Oid> write_tree(const std::optional<Oid>& base, const std::vector<File>& files,
                         const std::vector<Placed>& placed = {});
  struct Author {
    std::string name = "Detent";
    std::string email = "detent@localhost";
  };
  /// An error where git takes no such author (an empty name, say).
  static Result<> check(const Author& author);
  /// Takes away what was written since the last move and only this needs: the next try writes it anew.
  void discard();
  /// A commit by `author`, committed by Detent, with `when` as both times. `merged`: another parent.
  Result<Oid> write_commit(const Oid& tree, const std::optional<Oid>& parent, const std::string& message,
                           const Author& author, Millis when, const std::optional<Oid>& merged = {});

  enum class Move { moved, lost, locked };
  /// Syncs what was written, then moves `name` from `from` (none: it must not exist) to `to`, or says that it stood
  /// elsewhere, or that someone holds its lock.
  Result<Move> move_ref(const std::string& name, const Oid& to, const std::optional<Oid>& from);
  /// Sets a ref that nobody else writes, wherever it stood.
  Result<> set_ref(const std::string& name, const Oid& to);
  /// Takes a ref away, whatever is in it.
  Result<> remove_ref(const std::string& name);

  const std::filesystem::path& path() const { return path_; }

 private:
  /// An error where the object is loose and damaged: libgit2 must not be asked for it then.
  Result<> guard(const Oid& id) const;

  template <class T>
  friend Result<std::unique_ptr<T, Free>> look_up(const Repository& repository, std::string_view kind, const Oid& id,
                                                  int (*call)(T**, git_repository*, const git_oid*));
  /// Runs a call of libgit2, which answers below zero where it fails; once more before what it misses counts as damage.
  Result<> ask(std::string_view what, const std::function<int()>& call) const;

  Repository(git_repository* repository, std::filesystem::path path);
  struct Close {
    void operator()(git_repository* repository) const;
  };
  /// Waits until all objects in `unsynced_` are on disk. After a failure what the page cache shows of a file proves
  /// nothing: the objects that only this write needs are taken away, so that the next try writes them to fresh files.
  Result<> sync_objects();

  std::unique_ptr<git_repository, Close> repository_;
  std::filesystem::path path_;
  struct Unsynced {
    Oid id;
    bool unique = false;
  };
  std::vector<Unsynced> unsynced_;
};

/// Who commits, whoever is the author: "detent@localhost". By it the log knows its own commits.
extern const char* const kLedgerEmail;

}  // namespace detent
