// What a repository holds, read.
#include <git2.h>
#include <spdlog/fmt/fmt.h>

#include <cerrno>

#include "ledger/repository/libgit2.h"
#include "ledger/repository/loose.h"

namespace detent {
namespace {

TreeEntry entry_of(const git_tree_entry* entry) {
  return {git_tree_entry_name(entry), from_native(git_tree_entry_id(entry)),
          git_tree_entry_type(entry) == GIT_OBJECT_TREE};
}

}  // namespace

Result<> Repository::guard(const Oid& id) const {
  const auto loose = read_loose(path_, id.hex());
  if (!loose) return loose.error();
  return {};
}

Result<Commit> Repository::commit(const Oid& id) const {
  if (const auto sound = guard(id); !sound) return sound.error();
  const auto found = look_up<git_commit>(*this, "commit", id, git_commit_lookup);
  if (!found) return found.error();
  git_commit* const raw = found->get();
  Commit out;
  out.id = id;
  out.tree = from_native(git_commit_tree_id(raw));
  for (unsigned i = 0; i < git_commit_parentcount(raw); ++i) {
    out.parents.push_back(from_native(git_commit_parent_id(raw, i)));
  }
  out.message = git_commit_message_raw(raw);
  out.author = git_commit_author(raw)->email;
  out.committer = git_commit_committer(raw)->email;
  out.time = std::chrono::seconds{git_commit_time(raw)};
  return out;
}

Result<std::optional<TreeEntry>> Repository::find(const Oid& tree, const std::string& path) const {
  Oid at = tree;
  for (std::string_view rest = path;;) {
    if (const auto sound = guard(at); !sound) return sound.error();
    const auto folder = look_up<git_tree>(*this, "tree", at, git_tree_lookup);
    if (!folder) return folder.error();
    const auto slash = rest.find('/');
    const auto* entry = git_tree_entry_byname(folder->get(), std::string{rest.substr(0, slash)}.c_str());
    if (!entry) return std::optional<TreeEntry>{};
    auto found = entry_of(entry);
    if (slash == std::string_view::npos) return std::optional{std::move(found)};
    if (!found.folder) return std::optional<TreeEntry>{};
    at = found.id;
    rest.remove_prefix(slash + 1);
  }
}

Result<std::vector<TreeEntry>> Repository::entries(const Oid& id) const {
  if (const auto sound = guard(id); !sound) return sound.error();
  const auto tree = look_up<git_tree>(*this, "tree", id, git_tree_lookup);
  if (!tree) return tree.error();
  std::vector<TreeEntry> out;
  const std::size_t count = git_tree_entrycount(tree->get());
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.push_back(entry_of(git_tree_entry_byindex(tree->get(), i)));
  return out;
}

Result<std::string> Repository::blob(const Oid& id) const {
  auto loose = read_loose(path_, id.hex());
  if (!loose) return loose.error();
  if (*loose) {
    git_oid hash;
    const std::string& content = (*loose)->content;
    if ((*loose)->type != "blob" || git_odb_hash(&hash, content.data(), content.size(), GIT_OBJECT_BLOB) ||
        from_native(&hash) != id) {
      return Error{fmt::format("object {} is damaged: its content has another hash", id.hex()), EBADMSG};
    }
    return Result<std::string>{boost::system::in_place_value, std::move((*loose)->content)};
  }
  const auto found = look_up<git_blob>(*this, "blob", id, git_blob_lookup);
  if (!found) return found.error();
  const git_blob* const raw = found->get();
  return Result<std::string>{boost::system::in_place_value, static_cast<const char*>(git_blob_rawcontent(raw)),
                             static_cast<std::size_t>(git_blob_rawsize(raw))};
}

Result<bool> Repository::descends(const Oid& commit, const Oid& ancestor) const {
  int code = 0;
  const auto compared = ask(fmt::format("cannot compare commits {} and {}", commit.hex(), ancestor.hex()), [&] {
    return code = git_graph_descendant_of(repository_.get(), native(commit), native(ancestor));
  });
  if (!compared) return compared.error();
  return code == 1;
}

Result<std::optional<Oid>> Repository::merge_base(const Oid& one, const Oid& other) const {
  git_oid id;
  bool there = true;
  const auto found = ask(fmt::format("cannot compare commits {} and {}", one.hex(), other.hex()), [&] {
    const int code = git_merge_base(&id, repository_.get(), native(one), native(other));
    there = code != GIT_ENOTFOUND;
    return there ? code : 0;
  });
  if (!found) return found.error();
  return there ? std::optional{from_native(&id)} : std::nullopt;
}

Result<> Repository::each_commit(const std::function<void(Commit)>& each) const {
  git_odb* raw = nullptr;
  const auto opened =
      ask("cannot open the objects of " + path_.string(), [&] { return git_repository_odb(&raw, repository_.get()); });
  if (!opened) return opened.error();
  const Held<git_odb> odb{raw};
  std::vector<Oid> ids;
  const auto add = [](const git_oid* id, void* into) {
    static_cast<std::vector<Oid>*>(into)->push_back(from_native(id));
    return 0;
  };
  const auto listed =
      ask("cannot list the objects of " + path_.string(), [&] { return git_odb_foreach(raw, add, &ids); });
  if (!listed) return listed.error();
  for (const Oid& id : ids) {
    const auto loose = read_loose(path_, id.hex());
    if (!loose && loose.error().code != EBADMSG) return loose.error();
    if (!loose) continue;
    size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (!*loose && git_odb_read_header(&size, &type, raw, native(id))) continue;
    if (*loose ? (*loose)->type != "commit" : type != GIT_OBJECT_COMMIT) continue;
    auto one = commit(id);
    if (one) each(std::move(*one));
    if (!one && one.error().code != EBADMSG) return one.error();
  }
  return {};
}

}  // namespace detent
