#include "ledger/repository/branch.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cerrno>

#include "ledger/repository/files.h"

namespace detent {

Branch::Branch(Repository& repository, const std::string& name)
    : repository_{&repository},
      ref_{"refs/heads/" + name},
      witness_{"refs/detent/" + name},
      damaged_{"refs/detent/damaged/" + name} {}

Result<Branch::Named> Branch::read(const std::string& ref) const {
  const auto id = repository_->ref(ref);
  if (id && !*id) return Named{};
  auto commit = id ? repository_->commit(**id) : id.error();
  if (commit) return Named{std::move(*commit), {}};
  if (commit.error().code != EBADMSG) return commit.error();
  return Named{{}, commit.error()};
}

Result<std::string> Branch::keep_damaged(const Oid& commit, Millis wall) {
  const std::string stem = damaged_ + "/" + stamp(wall);
  std::string name = stem;
  for (int n = 2;; ++n) {
    const auto taken = repository_->ref(name);
    if (!taken) return taken.error();
    if (!*taken || **taken == commit) break;
    name = fmt::format("{}.{}", stem, n);
  }
  if (const auto set = repository_->set_ref(name, commit); !set) return set.error();
  return Result<std::string>{boost::system::in_place_value, std::move(name)};
}

Result<std::optional<std::string>> Branch::set_aside(const std::string& ref, Millis wall) {
  std::optional<std::string> kept;
  const auto named = read(ref);
  if (!named) return named.error();
  if (named->commit) {
    auto name = keep_damaged(named->commit->id, wall);
    if (!name) return name.error();
    kept = std::move(*name);
  }
  if (!named->commit && !named->damage) return kept;
  if (const auto removed = repository_->remove_ref(ref); !removed) return removed.error();
  return kept;
}

void Branch::adopt(const Oid& commit, const Oid& tree) {
  ours_ = parent_ = commit;
  ours_tree_ = tree_ = tree;
}

Result<> Branch::set_witness() {
  if (!ours_) return {};
  const auto stands = repository_->ref(witness_);
  if (stands && *stands == ours_) return {};
  return repository_->set_ref(witness_, *ours_);
}

Result<Branch::Standing> Branch::look() {
  const auto stands = repository_->ref(ref_);
  if (!stands) return stands.error();
  if (const auto witness = repository_->ref(witness_); !witness) return witness.error();
  seen_ = *stands;
  parent_ = ours_;
  tree_ = ours_tree_;
  if (seen_ == ours_) return Standing::in_place;
  if (!seen_) return Standing::gone;
  if (!ours_) return Standing::above;
  const auto behind = repository_->descends(*ours_, *seen_);
  if (!behind) return behind.error();
  if (*behind) return Standing::moved_back;
  const auto above = repository_->descends(*seen_, *ours_);
  if (!above) return above.error();
  return *above ? Standing::above : Standing::diverged;
}

void Branch::build_on(const Commit& above) {
  parent_ = above.id;
  tree_ = above.tree;
}

Result<Branch::Advance> Branch::advance(const Oid& commit, const Oid& tree) {
  const auto moved = repository_->move_ref(ref_, commit, seen_);
  if (!moved) return moved.error();
  if (*moved == Repository::Move::lost) return Advance::lost;
  if (*moved == Repository::Move::locked) return Advance::locked;
  adopt(commit, tree);
  seen_ = commit;
  // The commit stands whether or not the witness follows: the next commit sets it, or the next start.
  if (const auto set = repository_->set_ref(witness_, commit); !set) spdlog::warn("ledger: {}", set.error().what);
  return Advance::done;
}

}  // namespace detent
