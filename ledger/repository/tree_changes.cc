#include "ledger/repository/tree_changes.h"

#include <map>
#include <utility>

namespace detent {
namespace {

using Entry = std::optional<TreeEntry>;

struct Sides {
  Entry base, ours, theirs;
};

bool same(const Entry& a, const Entry& b) {
  return a.has_value() == b.has_value() && (!a || (a->id == b->id && a->folder == b->folder));
}
bool is_folder_or_nothing(const Entry& entry) { return !entry || entry->folder; }

Result<> compare(const Repository& repository, const Sides& folder, const std::string& prefix,
                 const std::string& except, std::vector<Repository::Placed>& placed) {
  std::map<std::string, Sides> names;
  for (const auto& [entry, side] : {std::pair{&folder.base, &Sides::base}, std::pair{&folder.ours, &Sides::ours},
                                    std::pair{&folder.theirs, &Sides::theirs}}) {
    if (!*entry) continue;
    auto entries = repository.entries((*entry)->id);
    if (!entries) return entries.error();
    for (TreeEntry& one : *entries) {
      const std::string name = one.name;
      names[name].*side = std::move(one);
    }
  }
  for (const auto& [name, sides] : names) {
    const std::string path = prefix + name;
    if (path == except || same(sides.base, sides.theirs) || same(sides.ours, sides.theirs)) continue;
    if (is_folder_or_nothing(sides.base) && is_folder_or_nothing(sides.ours) && is_folder_or_nothing(sides.theirs)) {
      if (const auto done = compare(repository, sides, path + "/", except, placed); !done) return done;
      continue;
    }
    const bool files = !(sides.ours && sides.ours->folder) && !(sides.theirs && sides.theirs->folder);
    if (!files || !same(sides.base, sides.ours)) continue;
    placed.push_back({path, sides.theirs ? std::optional{sides.theirs->id} : std::nullopt});
  }
  return {};
}

Entry top(const std::optional<Oid>& tree) { return tree ? Entry{TreeEntry{{}, *tree, true}} : Entry{}; }

}  // namespace

Result<std::vector<Repository::Placed>> changes_of_theirs(const Repository& repository, const std::optional<Oid>& base,
                                                          const std::optional<Oid>& ours,
                                                          const std::optional<Oid>& theirs, const std::string& except) {
  std::vector<Repository::Placed> placed;
  const auto done = compare(repository, {top(base), top(ours), top(theirs)}, "", except, placed);
  if (!done) return done.error();
  return Result<std::vector<Repository::Placed>>{boost::system::in_place_value, std::move(placed)};
}

}  // namespace detent
