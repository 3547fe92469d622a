#include "ledger/audit/audit_branch.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "ledger/audit/line.h"

namespace detent {
namespace {

using Kind = LedgerAlarm::Kind;
constexpr const char* kSignals = "signals";
constexpr const char* kGone = "gone";

std::string brief(const Oid& id) { return id.hex().substr(0, 12); }

}  // namespace

std::optional<CommitNote> own_note(const Commit& commit) {
  if (commit.committer != kLedgerEmail || commit.parents.size() > 1) return std::nullopt;
  return note_of(commit.message);
}

std::string AuditBranch::command(const std::string& rest) const {
  return fmt::format("git -C {} {}", repository_->path().string(), rest);
}

/// Takes `commit` as the end of our chain, where the file it names ends in the line it says.
Result<> AuditBranch::adopt(const Commit& commit, const CommitNote& note) {
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
  branch_.adopt(commit.id, commit.tree);
  state_ = note.state;
  return {};
}

/// Adopts the newest commit of ours that the two refs lead to. The branch may be ahead of the witness by what was
/// committed just before a crash. Without a witness, the newest commit of ours anywhere on the branch is the end of the
/// chain. `damage`: of the first commit that could not be adopted.
Result<> AuditBranch::adopt_by(const Branch::Named& tip, const Branch::Named& witness, std::optional<Error>& damage) {
  const auto try_adopting = [&](const Commit& commit) -> Result<bool> {
    const auto note = own_note(commit);
    if (!note) return false;
    const auto adopted = adopt(commit, *note);
    if (!adopted && adopted.error().code != EBADMSG) return adopted.error();
    if (!adopted && !damage) damage = adopted.error();
    return adopted.has_value();
  };
  if (witness.commit) {
    if (const auto tried = try_adopting(*witness.commit); !tried) return tried.error();
  }
  if (!tip.commit) return {};
  const std::optional<Oid> known = branch_.ours();
  std::optional<Oid> at = tip.commit->id;
  while (at && at != known) {
    if (known) {
      const auto descends = repository_->descends(*at, *known);
      if (!descends) return descends.error();
      if (!*descends) break;
    }
    const auto commit = repository_->commit(*at);
    if (!commit && commit.error().code == EBADMSG && !known) {
      if (!damage) damage = commit.error();
      break;
    }
    if (!commit) return commit.error();
    const auto tried = try_adopting(*commit);
    if (!tried) return tried.error();
    if (*tried) break;
    at = commit->parents.empty() ? std::nullopt : std::optional{commit->parents.front()};
  }
  return {};
}

Result<AuditBranch> AuditBranch::find(Repository& repository, const std::string& name, const Recovery& recovery,
                                      const Alarm& alarm) {
  AuditBranch found{repository, name};
  const Branch& branch = found.branch_;
  const auto tip = branch.read(branch.ref());
  if (!tip) return tip.error();
  const auto witness = branch.read(branch.witness());
  if (!witness) return witness.error();
  std::optional<Error> damage;  // of the newest commit of ours
  if (const auto done = found.adopt_by(*tip, *witness, damage); !done) return done.error();
  const bool ends_in_damage = damage || (!branch.ours() && (tip->damage || witness->damage));
  if (ends_in_damage && recovery.allowed && recovery.fetch) {
    Recovery rest = recovery;
    rest.fetch = {};
    const auto fetched = recovery.fetch();
    if (!fetched) spdlog::warn("ledger: {}", fetched.error().what);
    std::string said;
    auto again = find(repository, name, rest, [&](Kind kind, std::string text) {
      said = text;
      alarm(kind, std::move(text));
    });
    if (again && said.empty()) {
      alarm(Kind::damaged,
            fmt::format("{}; it was taken from the remote, and the ledger goes on", (damage        ? damage
                                                                                     : tip->damage ? tip->damage
                                                                                                   : witness->damage)
                                                                                        ->what));
    }
    return again;
  }
  if (damage) alarm(Kind::chain_damaged, damage->what);
  if (!damage) damage = tip->damage ? tip->damage : witness->damage;
  if (!branch.ours() && damage) {
    if (!recovery.allowed) return *damage;
    if (const auto done = found.recover(*damage, recovery, alarm); !done) return done.error();
  } else {
    // One of the two was enough to find the end of the chain.
    const auto go_on = [&](const std::string& ref, const Branch::Named& named, const std::string& by) -> Result<> {
      return named.damage ? found.drop(ref, *named.damage, "by " + by, recovery.wall, alarm) : Result<>{};
    };
    if (const auto done = go_on(branch.ref(), *tip, branch.witness()); !done) return done.error();
    if (const auto done = go_on(branch.witness(), *witness, branch.ref()); !done) return done.error();
  }
  // A full disk is no reason not to start: the next commit sets it.
  if (const auto set = found.branch_.set_witness(); !set) spdlog::warn("ledger: {}", set.error().what);
  return found;
}

/// Adopts, of all whole commits of ours in the repository, the one that holds most of the journal. `newest`: the one
/// that says so, whole or not.
Result<bool> AuditBranch::adopt_newest(const Recovery& recovery, std::optional<Oid>& newest) {
  struct Candidate {
    Commit commit;
    CommitNote note;
  };
  std::vector<Candidate> candidates;
  const auto looked = repository_->each_commit([&](Commit commit) {
    auto note = own_note(commit);
    if (!note || (recovery.journal_end && note->state.place > recovery.journal_end)) return;
    commit.message.clear();
    candidates.push_back({std::move(commit), std::move(*note)});
  });
  if (!looked) return looked.error();
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tuple{b.note.state.place, b.note.state.lines} < std::tuple{a.note.state.place, a.note.state.lines};
  });
  if (!candidates.empty()) newest = candidates.front().commit.id;
  for (const Candidate& one : candidates) {
    const auto adopted = adopt(one.commit, one.note);
    if (adopted) return true;
    if (adopted.error().code != EBADMSG) return adopted.error();
  }
  return false;
}

Result<> AuditBranch::recover(const Error& damage, const Recovery& recovery, const Alarm& alarm) {
  std::optional<Oid> newest;
  const auto adopted = adopt_newest(recovery, newest);
  if (!adopted) return adopted.error();
  std::string kept;
  for (const std::string& ref : {branch_.ref(), branch_.witness()}) {
    // The ref stays where the chain that was found is a part of what it names.
    const auto named = branch_.read(ref);
    if (!named) return named.error();
    if (named->commit && ours()) {
      const auto holds = repository_->descends(named->commit->id, *ours());
      if (named->commit->id == *ours() || (holds && *holds)) continue;
    }
    auto aside = branch_.set_aside(ref, recovery.wall);
    if (!aside) return aside.error();
    if (*aside) kept = std::move(**aside);
  }
  if (*adopted) {
    told_ = kGone;
    alarm(Kind::damaged,
          fmt::format("{}; the ledger goes on from {}, its newest commit that is whole", damage.what, brief(*ours())));
    return {};
  }
  if (kept.empty() && newest) {
    auto name = branch_.keep_damaged(*newest, recovery.wall);
    if (!name) return name.error();
    kept = std::move(*name);
  }
  alarm(Kind::damaged, fmt::format("{}; {}the ledger begins anew with what the journal still holds", damage.what,
                                   kept.empty() ? "" : "what can be read of it is kept as " + kept + ", and "));
  return {};
}

/// Sets a damaged ref aside, and says by what the ledger goes on without it.
Result<> AuditBranch::drop(const std::string& ref, const Error& why, const std::string& goes_on, Millis wall,
                           const Alarm& alarm) {
  if (const auto aside = branch_.set_aside(ref, wall); !aside) return aside.error();
  alarm(Kind::damaged, fmt::format("{}; the ledger goes on {}", why.what, goes_on));
  if (ref == branch_.ref()) told_ = kGone;
  return {};
}

Result<bool> AuditBranch::mend(const Alarm& alarm, Millis wall) {
  std::string goes_on = "with its first commit";
  if (ours()) {
    if (const auto there = repository_->commit(*ours()); !there) return there.error();
    goes_on = "from its last commit " + brief(*ours());
  }
  bool mended = false;
  for (const std::string& ref : {branch_.ref(), branch_.witness()}) {
    const auto named = branch_.read(ref);
    if (!named) return named.error();
    if (!named->damage) continue;
    if (const auto done = drop(ref, *named->damage, goes_on, wall, alarm); !done) return done.error();
    mended = true;
  }
  return mended;
}

Result<bool> AuditBranch::holds_our_signals(const Oid& tree) const {
  if (!branch_.ours_tree()) return true;
  auto theirs = repository_->find(tree, kSignals), written = repository_->find(*branch_.ours_tree(), kSignals);
  if (!theirs) return theirs.error();
  if (!written) return written.error();
  return *theirs && *written && (*theirs)->id == (*written)->id;
}

Result<> AuditBranch::reconcile(const Alarm& alarm) {
  const auto standing = branch_.look();
  if (!standing) return standing.error();
  const auto& seen = branch_.seen();
  const auto tell = [&](Kind kind, const std::string& text) {
    const std::string about = seen ? seen->hex() : kGone;
    if (about != told_) alarm(kind, text);
    told_ = about;
  };
  const std::string& ref = branch_.ref();
  const std::string stands = seen ? brief(*seen) : "";
  switch (*standing) {
    case Branch::Standing::in_place:
      return {};
    case Branch::Standing::gone:
      tell(Kind::went_backwards,
           fmt::format("{} was gone; the ledger goes on from its last commit {}", ref, brief(*ours())));
      return {};
    case Branch::Standing::moved_back:
      tell(Kind::went_backwards, fmt::format("{} was moved back to {}; the ledger goes on from its last commit {}", ref,
                                             stands, brief(*ours())));
      return {};
    case Branch::Standing::diverged: {
      const std::string name = ref.substr(std::string_view{"refs/heads/"}.size());
      const Error error{fmt::format("{} stands at {}, which does not hold our last commit {}; to go on: {}", ref,
                                    stands, brief(*ours()),
                                    command(fmt::format("branch -m {} {}-{}", name, name, stands)))};
      tell(Kind::diverged, error.what);
      return error;
    }
    case Branch::Standing::above:
      break;
  }
  const auto top = repository_->commit(*seen);
  if (!top) return top.error();
  const auto whole = holds_our_signals(top->tree);
  if (!whole) return whole.error();
  if (!*whole) {
    const Error error{fmt::format("a foreign commit {} on {} changed what the ledger had written; to go on: {}", stands,
                                  ref, command(fmt::format("update-ref {} {} {}", ref, ours()->hex(), seen->hex())))};
    tell(Kind::chain_damaged, error.what);
    return error;
  }
  tell(Kind::foreign_commit, fmt::format("a foreign commit {} by {} is on {}; the ledger goes on above it", stands,
                                         top->committer.empty() ? "nobody" : top->committer, ref));
  branch_.build_on(*top);
  return {};
}

Result<AuditBranch::Advance> AuditBranch::advance(const Oid& commit, const Oid& tree, ChainState state) {
  const auto advanced = branch_.advance(commit, tree);
  if (!advanced || *advanced != Advance::done) return advanced;
  state_ = std::move(state);
  told_.clear();
  return advanced;
}

}  // namespace detent
