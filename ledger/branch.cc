#include "ledger/branch.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cerrno>

#include "ledger/line.h"

namespace detent {
namespace {

using Kind = LedgerAlarm::Kind;
constexpr const char* kSignals = "signals";
constexpr const char* kGone = "gone";

/// The commit that a ref names; none where the ref is not there. `damage`: of the ref, or of the commit.
Result<std::optional<Commit>> look_up(const Repository& repository, const std::string& ref,
                                      std::optional<Error>& damage) {
  const auto id = repository.ref(ref);
  if (id && !*id) return std::optional<Commit>{};
  auto commit = id ? repository.commit(**id) : id.error();
  if (commit) return std::optional{std::move(*commit)};
  if (commit.error().code != EBADMSG) return commit.error();
  damage = commit.error();
  return std::optional<Commit>{};
}

}  // namespace

std::optional<CommitNote> own_note(const Commit& commit) {
  if (commit.committer != kLedgerEmail || commit.parents.size() > 1) return std::nullopt;
  return note_of(commit.message);
}

Branch::Branch(Repository& repository, std::string name)
    : repository_{&repository}, ref_{"refs/heads/" + name}, witness_{"refs/detent/" + name} {}

std::string Branch::command(const std::string& rest) const {
  return fmt::format("git -C {} {}", repository_->path().string(), rest);
}

/// Takes `commit` as the end of our chain, where the file it names ends in the line it says.
Result<> Branch::adopt(const Commit& commit, const CommitNote& note) {
  auto entry = repository_->find(commit.tree, note.file);
  if (!entry) return entry.error();
  if (!*entry) {
    return Error{fmt::format("commit {} does not hold {}, which it names", commit.id.hex(), note.file), EBADMSG};
  }
  auto text = repository_->blob((*entry)->id);
  if (!text) return text.error();
  std::string_view last = *text;
  if (last.ends_with('\n')) last.remove_suffix(1);
  if (const auto newline = last.rfind('\n'); newline != std::string_view::npos) last.remove_prefix(newline + 1);
  const auto line = parse_line(last);
  if (!line) return Error{fmt::format("{} in commit {}: {}", note.file, commit.id.hex(), line.error().what), EBADMSG};
  if (line->hash != note.state.hash) {
    return Error{
        fmt::format("{} in commit {} does not end in the hash that the commit names", note.file, commit.id.hex()),
        EBADMSG};
  }
  ours_ = commit.id;
  ours_tree_ = commit.tree;
  state_ = note.state;
  return {};
}

Result<Branch> Branch::find(Repository& repository, const std::string& name, const Alarm& alarm) {
  Branch branch{repository, name};
  std::optional<Error> tip_damage, witness_damage;
  const auto tip = look_up(repository, branch.ref_, tip_damage);
  if (!tip) return tip.error();
  const auto witness = look_up(repository, branch.witness_, witness_damage);
  if (!witness) return witness.error();
  // Either of the two leads to the end of the chain.
  if (tip_damage && !*witness) return *tip_damage;
  if (witness_damage && !*tip) return *witness_damage;
  const auto go_on_by = [&](const std::string& other, const std::string& ref, const std::optional<Error>& why) {
    return why ? branch.drop(ref, *why, "by " + other, alarm) : Result<>{};
  };
  if (const auto done = go_on_by(branch.witness_, branch.ref_, tip_damage); !done) return done.error();
  if (const auto done = go_on_by(branch.ref_, branch.witness_, witness_damage); !done) return done.error();

  std::optional<Error> damage;  // of the newest commit of ours
  const auto try_adopting = [&](const Commit& commit) {
    const auto note = own_note(commit);
    if (!note) return false;
    const auto adopted = branch.adopt(commit, *note);
    if (!adopted && !damage) {
      damage = adopted.error();
      alarm(Kind::chain_damaged, damage->what);
    }
    return adopted.has_value();
  };

  if (*witness) try_adopting(**witness);
  // The branch may be ahead of the witness by what was committed just before a crash. Without a witness, the newest
  // commit of ours anywhere on the branch is the end of the chain.
  const std::optional<Oid> known = branch.ours_;
  branch.seen_ = *tip ? std::optional{(*tip)->id} : std::nullopt;
  bool ahead = branch.seen_.has_value() && branch.seen_ != known;
  if (ahead && known) {
    const auto descends = repository.descends(*branch.seen_, *known);
    if (!descends) return descends.error();
    ahead = *descends;
  }
  for (std::optional<Oid> at = ahead ? branch.seen_ : std::nullopt; at && at != known;) {
    const auto commit = repository.commit(*at);
    if (!commit) return commit.error();
    if (known) {
      const auto descends = repository.descends(*at, *known);
      if (!descends) return descends.error();
      if (!*descends) break;
    }
    if (try_adopting(*commit)) break;
    at = commit->parents.empty() ? std::nullopt : std::optional{commit->parents.front()};
  }
  if (!branch.ours_ && damage) return *damage;
  if (branch.ours_) {
    if (const auto set = repository.set_ref(branch.witness_, *branch.ours_); !set) return set.error();
  }
  return branch;
}

/// Removes a ref that is damaged, and says by what the ledger goes on without it.
Result<> Branch::drop(const std::string& ref, const Error& why, const std::string& goes_on, const Alarm& alarm) {
  if (const auto removed = repository_->remove_ref(ref); !removed) return removed.error();
  alarm(Kind::damaged, fmt::format("{}; the ledger goes on {}", why.what, goes_on));
  if (ref == ref_) told_ = kGone;
  return {};
}

Result<bool> Branch::mend(const Alarm& alarm) {
  std::string goes_on = "with its first commit";
  if (ours_) {
    if (const auto there = repository_->commit(*ours_); !there) return there.error();
    goes_on = "from its last commit " + ours_->hex().substr(0, 12);
  }
  bool mended = false;
  for (const std::string& ref : {ref_, witness_}) {
    std::optional<Error> damage;
    if (const auto looked = look_up(*repository_, ref, damage); !looked) return looked.error();
    if (!damage) continue;
    if (const auto done = drop(ref, *damage, goes_on, alarm); !done) return done.error();
    mended = true;
  }
  return mended;
}

Result<bool> Branch::holds_our_signals(const Oid& tree) const {
  if (!ours_tree_) return true;
  auto theirs = repository_->find(tree, kSignals), ours = repository_->find(*ours_tree_, kSignals);
  if (!theirs) return theirs.error();
  if (!ours) return ours.error();
  return *theirs && *ours && (*theirs)->id == (*ours)->id;
}

Result<> Branch::reconcile(const Alarm& alarm) {
  auto looked = repository_->ref(ref_);
  if (!looked) return looked.error();
  if (const auto witness = repository_->ref(witness_); !witness) return witness.error();
  seen_ = *looked;
  parent_ = ours_;
  tree_ = ours_tree_;
  if (seen_ == ours_) return {};

  const auto tell = [&](Kind kind, const std::string& text) {
    const std::string about = seen_ ? seen_->hex() : kGone;
    if (about != told_) alarm(kind, text);
    told_ = about;
  };

  if (!seen_) {
    tell(Kind::went_backwards,
         fmt::format("{} was gone; the ledger goes on from its last commit {}", ref_, ours_->hex().substr(0, 12)));
    return {};
  }
  const std::string stands = seen_->hex().substr(0, 12);
  if (ours_) {
    const auto behind = repository_->descends(*ours_, *seen_);
    if (!behind) return behind.error();
    if (*behind) {
      tell(Kind::went_backwards, fmt::format("{} was moved back to {}; the ledger goes on from its last commit {}",
                                             ref_, stands, ours_->hex().substr(0, 12)));
      return {};
    }
    const auto above = repository_->descends(*seen_, *ours_);
    if (!above) return above.error();
    if (!*above) {
      const Error error{
          fmt::format("{} stands at {}, which does not hold our last commit {}; to go on: {}", ref_, stands,
                      ours_->hex().substr(0, 12),
                      command(fmt::format("branch -m {} {}-{}", ref_.substr(11), ref_.substr(11), stands)))};
      tell(Kind::diverged, error.what);
      return error;
    }
  }
  const auto top = repository_->commit(*seen_);
  if (!top) return top.error();
  const auto whole = holds_our_signals(top->tree);
  if (!whole) return whole.error();
  if (!*whole) {
    const Error error{fmt::format("a foreign commit {} on {} changed what the ledger had written; to go on: {}", stands,
                                  ref_, command(fmt::format("update-ref {} {} {}", ref_, ours_->hex(), seen_->hex())))};
    tell(Kind::chain_damaged, error.what);
    return error;
  }
  tell(Kind::foreign_commit, fmt::format("a foreign commit {} by {} is on {}; the ledger goes on above it", stands,
                                         top->committer.empty() ? "nobody" : top->committer, ref_));
  parent_ = seen_;
  tree_ = top->tree;
  return {};
}

Result<Branch::Advance> Branch::advance(const Oid& commit, const Oid& tree, ChainState state) {
  const auto moved = repository_->move_ref(ref_, commit, seen_);
  if (!moved) return moved.error();
  if (*moved == Repository::Move::lost) return Advance::lost;
  if (*moved == Repository::Move::locked) return Advance::locked;
  ours_ = seen_ = parent_ = commit;
  ours_tree_ = tree_ = tree;
  state_ = std::move(state);
  told_.clear();
  // The commit stands whether or not the witness follows: the next commit sets it, or the next start.
  if (const auto set = repository_->set_ref(witness_, commit); !set) spdlog::warn("{}", set.error().what);
  return Advance::done;
}

}  // namespace detent
