// What is written into a repository: blobs, trees and commits, on disk before any ref names them.
#include <fcntl.h>
#include <git2.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "ledger/repository/files.h"
#include "ledger/repository/libgit2.h"
#include "ledger/text.h"

namespace detent {

Result<> Repository::sync_objects() {
  struct Object {
    std::filesystem::path path;
    int file;
    bool unique;
  };
  std::vector<Object> objects;
  std::set<std::filesystem::path> folders{path_ / "objects"};
  Result<> outcome;
  for (const Unsynced& written : std::exchange(unsynced_, {})) {
    const std::string hex = written.id.hex();
    const auto folder = path_ / "objects" / hex.substr(0, 2);
    const Object object{folder / hex.substr(2), ::open((folder / hex.substr(2)).c_str(), O_RDONLY | O_CLOEXEC),
                        written.unique};
    if (object.file < 0 && errno == ENOENT) continue;  // it is in a pack, by an earlier write
    if (object.file < 0) outcome = system_error("cannot open " + object.path.string(), errno);
    if (object.file >= 0) sync_file_range(object.file, 0, 0, SYNC_FILE_RANGE_WRITE);
    objects.push_back(object);
    folders.insert(folder);
  }
  for (const Object& object : objects) {
    if (outcome && fsync(object.file)) outcome = system_error("cannot sync " + object.path.string(), errno);
    if (object.file >= 0) close(object.file);
  }
  for (const auto& folder : folders) {
    if (outcome) outcome = sync(folder);
  }
  if (!outcome) {
    for (const Object& object : objects) {
      if (object.unique) unlink(object.path.c_str());
    }
  }
  return outcome;
}

Result<Oid> Repository::write_tree(const std::optional<Oid>& base, const std::vector<File>& files,
                                   const std::vector<Placed>& placed) {
  const std::string tree_fails = "cannot write a tree in " + path_.string();
  git_oid bottom_id;
  if (base) {
    bottom_id = *native(*base);
  } else {
    const auto made = ask(tree_fails, [&] {
      git_treebuilder* builder = nullptr;
      if (const int code = git_treebuilder_new(&builder, repository_.get(), nullptr)) return code;
      return git_treebuilder_write(&bottom_id, Held<git_treebuilder>{builder}.get());
    });
    if (!made) return made.error();
    unsynced_.push_back({from_native(&bottom_id)});
  }
  const auto bottom = look_up<git_tree>(*this, "tree", from_native(&bottom_id), git_tree_lookup);
  if (!bottom) return bottom.error();
  std::vector<git_tree_update> updates;
  for (const File& file : files) {
    git_tree_update update{GIT_TREE_UPDATE_UPSERT, {}, GIT_FILEMODE_BLOB, file.path.c_str()};
    const auto written = ask(fmt::format("cannot write {} into {}", file.path, path_.string()), [&] {
      return git_blob_create_from_buffer(&update.id, repository_.get(), file.content.data(), file.content.size());
    });
    if (!written) return written.error();
    updates.push_back(update);
    unsynced_.push_back({from_native(&update.id), file.unique});
  }
  for (const Placed& one : placed) {
    git_tree_update update{GIT_TREE_UPDATE_REMOVE, {}, GIT_FILEMODE_BLOB, one.path.c_str()};
    if (one.blob) {
      update.action = GIT_TREE_UPDATE_UPSERT;
      update.id = *native(*one.blob);
    }
    updates.push_back(update);
  }
  git_oid id;
  const auto written = ask(tree_fails, [&] {
    return git_tree_create_updated(&id, repository_.get(), bottom->get(), updates.size(), updates.data());
  });
  if (!written) return written.error();
  const Oid top = from_native(&id);
  const bool unique = std::any_of(files.begin(), files.end(), [](const File& file) { return file.unique; });
  unsynced_.push_back({top, unique});
  const auto folders_of = [&](const std::string& path, bool is_unique, bool stands) -> Result<> {
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const auto folder = find(top, path.substr(0, slash));
      if (!folder) return folder.error();
      CHECK(folder->has_value() || !stands, "a tree lacks the folder that was just written into it");
      if (*folder) unsynced_.push_back({(*folder)->id, is_unique});
    }
    return {};
  };
  for (const File& file : files) {
    if (const auto synced = folders_of(file.path, file.unique, true); !synced) return synced.error();
  }
  for (const Placed& one : placed) {
    if (const auto synced = folders_of(one.path, false, one.blob.has_value()); !synced) return synced.error();
  }
  return top;
}

void Repository::discard() {
  for (const Unsynced& written : std::exchange(unsynced_, {})) {
    const std::string hex = written.id.hex();
    if (written.unique) unlink((path_ / "objects" / hex.substr(0, 2) / hex.substr(2)).c_str());
  }
}

Result<> Repository::check(const Author& author) {
  start_libgit2();
  // libgit2 takes a line break within, and writes a commit that git cannot read.
  for (const std::string& text : {author.name, author.email}) {
    if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; })) {
      return Error{fmt::format("\"{}\" cannot be a commit's author: it holds a control character", one_line(text, 80))};
    }
  }
  git_signature* who = nullptr;
  forget_git_errors();
  if (git_signature_new(&who, author.name.c_str(), author.email.c_str(), 0, 0)) {
    return why_git_failed(fmt::format("\"{} <{}>\" cannot be a commit's author", author.name, author.email), "/");
  }
  const Held<git_signature> signature{who};
  return {};
}

Result<Oid> Repository::write_commit(const Oid& tree, const std::optional<Oid>& parent, const std::string& message,
                                     const Author& author, Millis when, const std::optional<Oid>& merged) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(when).count();
  const auto sign = [&](Held<git_signature>& into, const char* name, const char* email) {
    return ask("cannot sign a commit", [&] {
      git_signature* raw = nullptr;
      const int code = git_signature_new(&raw, name, email, seconds, 0);
      into.reset(raw);
      return code;
    });
  };
  Held<git_signature> by, who;
  if (const auto signed_by = sign(by, author.name.c_str(), author.email.c_str()); !signed_by) return signed_by.error();
  if (const auto committed = sign(who, "Detent", kLedgerEmail); !committed) return committed.error();
  const auto top = look_up<git_tree>(*this, "tree", tree, git_tree_lookup);
  if (!top) return top.error();
  std::vector<Held<git_commit>> before;
  std::vector<const git_commit*> parents;
  for (const auto& one : {parent, merged}) {
    if (!one) continue;
    auto read = look_up<git_commit>(*this, "commit", *one, git_commit_lookup);
    if (!read) return read.error();
    parents.push_back(read->get());
    before.push_back(std::move(*read));
  }
  git_oid id;
  const auto written = ask("cannot write a commit in " + path_.string(), [&] {
    return git_commit_create(&id, repository_.get(), nullptr, by.get(), who.get(), "UTF-8", message.c_str(), top->get(),
                             parents.size(), parents.data());
  });
  if (!written) return written.error();
  unsynced_.push_back({from_native(&id), true});
  return from_native(&id);
}

}  // namespace detent
