#include "ledger/repository.h"

#include <git2.h>
#include <git2/sys/repository.h>
#include <spdlog/fmt/fmt.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "ledger/loose.h"
#include "ledger/text.h"

namespace detent {

const char* const kLedgerEmail = "detent@localhost";

namespace {

/// Frees each kind of libgit2 object by its own function.
struct Free {
  void operator()(git_reference* it) const { git_reference_free(it); }
  void operator()(git_commit* it) const { git_commit_free(it); }
  void operator()(git_tree* it) const { git_tree_free(it); }
  void operator()(git_tree_entry* it) const { git_tree_entry_free(it); }
  void operator()(git_treebuilder* it) const { git_treebuilder_free(it); }
  void operator()(git_blob* it) const { git_blob_free(it); }
  void operator()(git_signature* it) const { git_signature_free(it); }
  void operator()(git_odb* it) const { git_odb_free(it); }
};
template <class T>
using Held = std::unique_ptr<T, Free>;

/// EBADMSG where what is in the repository is at fault, and not the system that was to read or write it.
Error git_error(std::string_view what) {
  const auto* last = git_error_last();
  const bool damaged = last && last->klass != GIT_ERROR_OS && last->klass != GIT_ERROR_NOMEMORY;
  return {fmt::format("{}: {}", what, last && last->message ? last->message : "libgit2 gives no reason"),
          damaged ? EBADMSG : EIO};
}

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

const git_oid* native(const Oid& id) { return reinterpret_cast<const git_oid*>(id.bytes.data()); }

Oid from_native(const git_oid* id) {
  Oid out;
  std::memcpy(out.bytes.data(), id->id, out.bytes.size());
  return out;
}

Result<Held<git_tree>> look_up_tree(git_repository* repository, const Oid& id) {
  git_tree* tree = nullptr;
  if (git_tree_lookup(&tree, repository, native(id))) return git_error("cannot read tree " + id.hex());
  return Held<git_tree>{tree};
}

Result<> sync(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = file >= 0 && fsync(file) == 0;
  const int number = errno;
  if (file >= 0) close(file);
  return synced ? Result<>{} : system_error("cannot sync " + path.string(), number);
}

TreeEntry entry_of(const git_tree_entry* entry) {
  return {git_tree_entry_name(entry), from_native(git_tree_entry_id(entry)),
          git_tree_entry_type(entry) == GIT_OBJECT_TREE};
}

}  // namespace

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

void Repository::Close::operator()(git_repository* repository) const { git_repository_free(repository); }

Repository::Repository(git_repository* repository, std::filesystem::path path)
    : repository_{repository}, path_{std::move(path)} {}
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;
Repository::~Repository() = default;

Result<Repository> Repository::open(const std::filesystem::path& path) {
  start_libgit2();
  git_repository* repository = nullptr;
  if (git_repository_open_bare(&repository, path.c_str())) {
    return git_error(fmt::format("cannot open the ledger repository {}", path.string()));
  }
  return Repository{repository, path};
}

Result<> Repository::check_config(const std::filesystem::path& path) {
  start_libgit2();
  git_config* raw = nullptr;
  if (git_config_open_ondisk(&raw, (path / "config").c_str())) {
    return git_error("cannot read " + (path / "config").string());
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
  std::filesystem::remove_all(making, failed);
  git_repository* repository = nullptr;
  git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
  options.mode = 0700;
  options.initial_head = branch.c_str();
  if (git_repository_init_ext(&repository, making.c_str(), &options)) {
    return git_error(fmt::format("cannot make the ledger repository {}", path.string()));
  }
  git_repository_free(repository);
  for (const char* part : {"HEAD", "config", "objects", "refs", "."}) {
    if (const auto synced = sync(making / part); !synced) return synced.error();
  }
  if (::rename(making.c_str(), path.c_str())) return system_error("cannot make " + path.string(), errno);
  if (const auto synced = sync(std::filesystem::absolute(path).parent_path()); !synced) return synced.error();
  return open(path);
}

Result<> Repository::reopen() {
  auto fresh = open(path_);
  if (!fresh) return fresh.error();
  *this = std::move(*fresh);
  return {};
}

Result<std::optional<Oid>> Repository::ref(const std::string& name) const {
  git_oid id;
  const int code = git_reference_name_to_id(&id, repository_.get(), name.c_str());
  if (code == GIT_ENOTFOUND) return std::optional<Oid>{};
  if (code) return git_error(fmt::format("cannot read {} in {}", name, path_.string()));
  return std::optional<Oid>{from_native(&id)};
}

Result<> Repository::remove_ref(const std::string& name) {
  if (git_reference_remove(repository_.get(), name.c_str())) {
    return git_error(fmt::format("cannot remove {} in {}", name, path_.string()));
  }
  return {};
}

Result<> Repository::guard(const Oid& id) const {
  const auto loose = read_loose(path_, id.hex());
  if (!loose) return loose.error();
  return {};
}

Result<Commit> Repository::commit(const Oid& id) const {
  if (const auto sound = guard(id); !sound) return sound.error();
  git_commit* raw = nullptr;
  if (git_commit_lookup(&raw, repository_.get(), native(id))) return git_error("cannot read commit " + id.hex());
  const Held<git_commit> commit{raw};
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
    const auto folder = look_up_tree(repository_.get(), at);
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
  auto tree = look_up_tree(repository_.get(), id);
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
  git_blob* raw = nullptr;
  if (git_blob_lookup(&raw, repository_.get(), native(id))) return git_error("cannot read blob " + id.hex());
  const Held<git_blob> blob{raw};
  return Result<std::string>{boost::system::in_place_value, static_cast<const char*>(git_blob_rawcontent(raw)),
                             static_cast<std::size_t>(git_blob_rawsize(raw))};
}

Result<bool> Repository::descends(const Oid& commit, const Oid& ancestor) const {
  const int code = git_graph_descendant_of(repository_.get(), native(commit), native(ancestor));
  if (code < 0) return git_error(fmt::format("cannot compare commits {} and {}", commit.hex(), ancestor.hex()));
  return code == 1;
}

Result<bool> Repository::has(const Oid& id) const {
  git_odb* raw = nullptr;
  if (git_repository_odb(&raw, repository_.get())) return git_error("cannot open the objects of " + path_.string());
  const Held<git_odb> odb{raw};
  return git_odb_exists(raw, native(id)) == 1;
}

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

Result<Oid> Repository::write_tree(const std::optional<Oid>& base, const std::vector<File>& files) {
  Held<git_tree> bottom;
  if (base) {
    auto found = look_up_tree(repository_.get(), *base);
    if (!found) return found.error();
    bottom = std::move(*found);
  } else {
    git_treebuilder* builder = nullptr;
    git_oid empty;
    if (git_treebuilder_new(&builder, repository_.get(), nullptr)) return git_error("cannot build a tree");
    const Held<git_treebuilder> held{builder};
    if (git_treebuilder_write(&empty, builder)) return git_error("cannot write a tree in " + path_.string());
    auto found = look_up_tree(repository_.get(), from_native(&empty));
    if (!found) return found.error();
    bottom = std::move(*found);
    unsynced_.push_back({from_native(&empty)});
  }
  std::vector<git_tree_update> updates;
  for (const File& file : files) {
    git_tree_update update{GIT_TREE_UPDATE_UPSERT, {}, GIT_FILEMODE_BLOB, file.path.c_str()};
    if (git_blob_create_from_buffer(&update.id, repository_.get(), file.content.data(), file.content.size())) {
      return git_error(fmt::format("cannot write {} into {}", file.path, path_.string()));
    }
    updates.push_back(update);
    unsynced_.push_back({from_native(&update.id), file.unique});
  }
  git_oid id;
  if (git_tree_create_updated(&id, repository_.get(), bottom.get(), updates.size(), updates.data())) {
    return git_error("cannot write a tree in " + path_.string());
  }
  const Oid top = from_native(&id);
  const bool unique = std::any_of(files.begin(), files.end(), [](const File& file) { return file.unique; });
  unsynced_.push_back({top, unique});
  for (const File& file : files) {
    for (auto slash = file.path.find('/'); slash != std::string::npos; slash = file.path.find('/', slash + 1)) {
      const auto folder = find(top, file.path.substr(0, slash));
      if (!folder) return folder.error();
      CHECK(folder->has_value(), "a tree lacks the folder that was just written into it");
      unsynced_.push_back({(*folder)->id, file.unique});
    }
  }
  return top;
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
  if (git_signature_new(&who, author.name.c_str(), author.email.c_str(), 0, 0)) {
    return git_error(fmt::format("\"{} <{}>\" cannot be a commit's author", author.name, author.email));
  }
  const Held<git_signature> signature{who};
  return {};
}

Result<Oid> Repository::write_commit(const Oid& tree, const std::optional<Oid>& parent, const std::string& message,
                                     const Author& author, Millis when) {
  git_signature *by = nullptr, *who = nullptr;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(when).count();
  if (git_signature_new(&by, author.name.c_str(), author.email.c_str(), seconds, 0)) {
    return git_error("cannot sign a commit");
  }
  const Held<git_signature> authored{by};
  if (git_signature_new(&who, "Detent", kLedgerEmail, seconds, 0)) return git_error("cannot sign a commit");
  const Held<git_signature> committed{who};
  auto top = look_up_tree(repository_.get(), tree);
  if (!top) return top.error();
  git_commit* before = nullptr;
  if (parent && git_commit_lookup(&before, repository_.get(), native(*parent))) {
    return git_error("cannot read commit " + parent->hex());
  }
  const Held<git_commit> held{before};
  const git_commit* parents[] = {before};
  git_oid id;
  if (git_commit_create(&id, repository_.get(), nullptr, by, who, "UTF-8", message.c_str(), top->get(), parent ? 1 : 0,
                        parents)) {
    return git_error("cannot write a commit in " + path_.string());
  }
  unsynced_.push_back({from_native(&id), true});
  return from_native(&id);
}

Result<Repository::Move> Repository::move_ref(const std::string& name, const Oid& to, const std::optional<Oid>& from) {
  if (const auto synced = sync_objects(); !synced) return synced.error();
  const SyncedWrites writes;
  git_reference* raw = nullptr;
  const int code = from ? git_reference_create_matching(&raw, repository_.get(), name.c_str(), native(to), 1,
                                                        native(*from), "detent")
                        : git_reference_create(&raw, repository_.get(), name.c_str(), native(to), 0, "detent");
  const Held<git_reference> reference{raw};
  switch (code) {
    case 0:
      return Move::moved;
    case GIT_EMODIFIED:
    case GIT_EEXISTS:
    case GIT_ENOTFOUND:
      return Move::lost;
    case GIT_ELOCKED:
      return Move::locked;
    default:
      return git_error(fmt::format("cannot move {} in {}", name, path_.string()));
  }
}

Result<> Repository::set_ref(const std::string& name, const Oid& to) {
  if (const auto synced = sync_objects(); !synced) return synced.error();
  const SyncedWrites writes;
  git_reference* raw = nullptr;
  const int code = git_reference_create(&raw, repository_.get(), name.c_str(), native(to), 1, "detent");
  const Held<git_reference> reference{raw};
  if (code) return git_error(fmt::format("cannot set {} in {}", name, path_.string()));
  return {};
}

}  // namespace detent
