// What this folder shares of libgit2: its objects freed by themselves, its ids, and its errors as ours.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/repository/repository.h"

struct git_blob;
struct git_commit;
struct git_config;
struct git_odb;
struct git_oid;
struct git_reference;
struct git_signature;
struct git_tree;
struct git_treebuilder;

namespace detent {

/// Frees each kind of libgit2 object by its own function.
struct Free {
  void operator()(git_blob* it) const;
  void operator()(git_commit* it) const;
  void operator()(git_config* it) const;
  void operator()(git_odb* it) const;
  void operator()(git_reference* it) const;
  void operator()(git_signature* it) const;
  void operator()(git_tree* it) const;
  void operator()(git_treebuilder* it) const;
};
template <class T>
using Held = std::unique_ptr<T, Free>;

/// Before the first call of libgit2: its caches are capped for the whole process.
void start_libgit2();

/// Before a call of libgit2, so that `why_git_failed` tells afterwards why that one failed.
void forget_git_errors();

/// Why the call of libgit2 that was just made failed. The code is the errno where the system was at fault (no
/// descriptor, no memory, no space, no access, a disk that cannot read), also where libgit2 does not pass that on, and
/// EBADMSG where what is in the repository at `path` is damaged or missing.
Error why_git_failed(std::string_view what, const std::filesystem::path& path);

/// Whether the system may let us read what is there: no descriptor, no memory, no access, a disk that cannot read. What
/// libgit2 then calls missing may be there all the same.
Result<> can_read(const std::filesystem::path& repository);

const git_oid* native(const Oid& id);
Oid from_native(const git_oid* id);

/// An object of `kind` ("tree"), by `call` (git_tree_lookup).
template <class T>
Result<Held<T>> look_up(const Repository& repository, std::string_view kind, const Oid& id,
                        int (*call)(T**, git_repository*, const git_oid*)) {
  T* raw = nullptr;
  const auto found = repository.ask("cannot read " + std::string{kind} + " " + id.hex(),
                                    [&] { return call(&raw, repository.repository_.get(), native(id)); });
  if (!found) return found.error();
  return Held<T>{raw};
}
}  // namespace detent
