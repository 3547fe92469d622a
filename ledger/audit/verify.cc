#include "ledger/audit/verify.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>

#include "ledger/audit/audit_branch.h"
#include "ledger/audit/history.h"
#include "ledger/audit/line.h"
#include "ledger/repository/git_command.h"

namespace detent {
namespace {

constexpr std::size_t kProblemsMost = 1'000;

/// Numbers as ranges: as many as there are gaps between them, and these are few.
class Numbers {
 public:
  /// False: it was there already.
  bool insert(std::uint64_t number) {
    auto after = ranges_.upper_bound(number);
    if (after != ranges_.begin()) {
      const auto before = std::prev(after);
      if (number <= before->second) return false;
      if (number == before->second + 1) {
        before->second = number;
        if (after != ranges_.end() && after->first == number + 1) {
          before->second = after->second;
          ranges_.erase(after);
        }
        return true;
      }
    }
    if (after != ranges_.end() && after->first == number + 1) {
      const auto last = after->second;
      ranges_.erase(after);
      ranges_[number] = last;
    } else {
      ranges_[number] = number;
    }
    return true;
  }
  const std::map<std::uint64_t, std::uint64_t>& ranges() const { return ranges_; }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // first -> last
};

class Verification {
 public:
  Verification(const Repository& repository, const VerifyOptions& options)
      : repository_{repository}, options_{options} {}

  /// `last`: our last commit, as its witness says.
  Result<VerifyReport> run(const Oid& tip, const std::optional<Oid>& last, const std::optional<Oid>& remote) {
    const auto top = repository_.commit(tip);
    if (!top) return top.error();
    tip_tree_ = top->tree;
    report_.tip = tip.hex();
    const auto walked = walk_ledger(repository_, tip, [&](const Commit& commit, const std::optional<CommitNote>& note) {
      if (remote && commit.id == *remote) {
        report_.remote = report_.commits ? VerifyReport::Remote::behind : VerifyReport::Remote::equal;
        report_.remote_behind = report_.commits;
      }
      ++report_.commits;
      const auto checked = note ? check_ours(commit, *note) : check_foreign(commit);
      return checked ? Result<bool>{true} : Result<bool>{checked.error()};
    });
    // What cannot be read ends the walk; all that lies before it is unproven.
    if (!walked && walked.error().code != EBADMSG) return walked.error();
    if (!walked) {
      problem(walked.error().what);
    } else if (expected_ && *expected_ != Hash{}) {
      problem(fmt::format("the beginning is missing: the first line in {} goes on from hash {}", expected_by_,
                          to_hex(*expected_)));
    }
    if (last) check_last(*last);
    if (const auto counted = check_files(); !counted) return counted.error();
    check_numbers();
    report_.problems.assign(problems_.begin(), problems_.end());
    return std::move(report_);
  }

 private:
  /// Problems are found from the newest file to the oldest, and told the other way round.
  void problem(std::string text) {
    ++report_.problem_count;
    problems_.push_front(std::move(text));
    if (problems_.size() > kProblemsMost) problems_.pop_back();
  }

  /// A branch that was moved back is whole as far as it goes.
  void check_last(const Oid& id) {
    const auto commit = repository_.commit(id);
    const auto note = commit ? own_note(*commit) : std::nullopt;
    const std::uint64_t lines = newest_ ? newest_->lines : 0;
    if (note && note->state.lines > lines) {
      problem(fmt::format("the branch was moved back: it holds {} lines, and the broker's last commit ({}) {}", lines,
                          id.hex().substr(0, 12), note->state.lines));
    }
  }

  Result<> check_foreign(const Commit& commit) {
    const std::string who = fmt::format("commit {} by {}", commit.id.hex().substr(0, 12), commit.committer);
    const auto ours = repository_.find(commit.tree, "signals");
    if (!ours) return ours.error();
    bool same = commit.parents.empty() && !*ours;
    for (const Oid& id : commit.parents) {
      const auto parent = repository_.commit(id);
      if (!parent) return parent.error();
      const auto theirs = repository_.find(parent->tree, "signals");
      if (!theirs) return theirs.error();
      same |= ours->has_value() == theirs->has_value() && (!*ours || (*ours)->id == (*theirs)->id);
    }
    if (!same) {
      problem(who + " changed files of the log");
    } else if (report_.foreign.size() < kProblemsMost) {
      report_.foreign.push_back(fmt::format("{}: {}", who, commit.message.substr(0, commit.message.find('\n'))));
    }
    return {};
  }

  Result<> check_ours(const Commit& commit, const CommitNote& note) {
    if (!newest_) newest_ = note.state;
    const std::string where = fmt::format("{} (commit {})", note.file, commit.id.hex().substr(0, 12));
    const auto entry = repository_.find(commit.tree, note.file);
    if (!entry) return entry.error();
    const auto at_tip = repository_.find(tip_tree_, note.file);
    if (!at_tip) return at_tip.error();
    ++files_;
    if (!*entry) {
      problem(where + ": the commit does not hold the file it names");
      expected_.reset();
      return {};
    }
    if (!*at_tip) {
      --files_;
      problem(where + ": the file is gone from the branch's tip");
    } else if ((*at_tip)->id != (*entry)->id) {
      problem(where + ": the file was changed after it was committed");
    }
    const auto text = repository_.blob((*entry)->id);
    // What cannot be read at the moment proves nothing.
    if (!text && text.error().code != EBADMSG) return text.error();
    if (!text) {
      problem(where + ": " + text.error().what);
      expected_.reset();
      return {};
    }
    check_file(where, note, *text);
    return {};
  }

  void check_file(const std::string& where, const CommitNote& note, std::string_view text) {
    std::vector<std::string> wrong;
    std::optional<Hash> start, chain;
    std::size_t number = 0;
    while (!text.empty()) {
      const auto end = text.find('\n');
      const auto whole = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      ++number;
      ++report_.lines;
      const auto line = parse_line(whole);
      if (!line) {
        wrong.push_back(fmt::format("{} line {}: {}", where, number, line.error().what));
        chain.reset();
        continue;
      }
      const auto place = [&] { return fmt::format("{} line {} (seq {})", where, number, line->seq); };
      if (number == 1) {
        start = chain = line->before;
        if (!start) wrong.push_back(place() + ": the file's first line does not say what it goes on from");
      }
      if (chain && link(*chain, line->hashed) != line->hash) {
        wrong.push_back(place() +
                        ": the chain breaks: the line or the one before was changed, or lines between are missing");
      }
      chain = line->hash;
      if (line->receipt) {
        ++report_.receipts;
      } else {
        check_signal(*line, place, wrong);
      }
    }
    if (chain && *chain != note.state.hash) {
      wrong.push_back(fmt::format("{}: the file does not end in the hash its commit names", where));
    }
    if (expected_ && *expected_ != note.state.hash) {
      wrong.push_back(fmt::format("{}: what follows it, {}, goes on from another hash", where, expected_by_));
    }
    for (auto at = wrong.rbegin(); at != wrong.rend(); ++at) problem(std::move(*at));
    expected_ = start;
    expected_by_ = where;
  }

  template <class Place>
  void check_signal(const LedgerLine& line, const Place& place, std::vector<std::string>& wrong) {
    ++report_.signals;
    if (!seen_.insert(line.seq)) wrong.push_back(place() + ": the number is there twice");
    if (!options_.journal) return;
    if (const auto journalled = options_.journal(line.seq)) {
      ++report_.compared;
      if (*journalled != hash_of(line.raw)) wrong.push_back(place() + ": the journal holds other bytes");
    }
  }

  Result<std::uint64_t> count_files(const Oid& tree) const {
    const auto entries = repository_.entries(tree);
    if (!entries) return entries.error();
    std::uint64_t count = 0;
    for (const TreeEntry& entry : *entries) {
      if (!entry.folder) {
        ++count;
        continue;
      }
      const auto below = count_files(entry.id);
      if (!below) return below.error();
      count += *below;
    }
    return count;
  }

  Result<> check_files() {
    const auto top = repository_.find(tip_tree_, "signals");
    if (!top) return top.error();
    if (!*top) return {};
    const auto count = count_files((*top)->id);
    if (!count && count.error().code != EBADMSG) return count.error();
    if (!count) {
      problem(count.error().what);
    } else if (*count > files_) {
      problem(fmt::format("{} files under signals/ belong to no commit of the log", *count - files_));
    }
    return {};
  }

  void check_numbers() {
    if (newest_) report_.hash = to_hex(newest_->hash);
    const auto& ranges = seen_.ranges();
    if (!ranges.empty()) {
      report_.first_seq = ranges.begin()->first;
      report_.last_seq = ranges.rbegin()->second;
    }
    // Numbers put off are taken as seen, so that what is left between the ranges is missing.
    Numbers numbers = seen_;
    if (newest_) {
      for (const Overtaken& one : newest_->held) {
        if (one.seq && numbers.insert(one.seq)) ++report_.waiting;
      }
    }
    std::uint64_t next = options_.first_seq ? options_.first_seq : (ranges.empty() ? 0 : report_.first_seq);
    std::vector<std::string> gaps;
    const auto gap = [&](std::uint64_t first, std::uint64_t last) {
      gaps.push_back(first == last ? fmt::format("signal {} is missing", first)
                                   : fmt::format("signals {} to {} are missing ({})", first, last, last - first + 1));
    };
    for (const auto& [first, last] : numbers.ranges()) {
      if (next && first > next) gap(next, first - 1);
      next = std::max(next, last + 1);
    }
    if (options_.last_seq && options_.last_seq >= next) gap(std::max<std::uint64_t>(next, 1), options_.last_seq);
    for (auto at = gaps.rbegin(); at != gaps.rend(); ++at) problem(std::move(*at));
  }

  const Repository& repository_;
  const VerifyOptions& options_;
  VerifyReport report_;
  std::deque<std::string> problems_;
  Oid tip_tree_;
  std::uint64_t files_ = 0;
  Numbers seen_;
  std::optional<ChainState> newest_;
  std::optional<Hash> expected_;  // what the file before must end in
  std::string expected_by_;
};

/// Where the remote's branch stands; none: it has no such branch.
Result<std::optional<Oid>> ask_remote(const Repository& repository, const std::string& branch,
                                      const VerifyOptions& options) {
  const Remote remote{options.remote, options.ssh_command};
  auto command = git_command(repository.path(), {"ls-remote", "detent", "refs/heads/" + branch}, &remote);
  command.deadline = options.remote_deadline;
  auto child = Child::start(std::move(command), system_now().mono);
  if (!child) return child.error();
  const auto exit = child->wait();
  if (exit.timed_out) return Error{"no answer before the deadline"};
  if (exit.code != 0) return Error{push_result(exit).reason};
  if (exit.out.empty()) return std::optional<Oid>{};
  const auto oid = Oid::from_hex(std::string_view{exit.out}.substr(0, exit.out.find('\t')));
  if (!oid) return Error{"git ls-remote said something else than a commit"};
  return oid;
}

}  // namespace

Result<VerifyReport> verify_ledger(const Repository& repository, const std::string& branch,
                                   const VerifyOptions& options) {
  const auto tip = ledger_tip(repository, branch);
  if (!tip) return tip.error();
  std::optional<Oid> there;
  auto state = VerifyReport::Remote::not_asked;
  std::string reason;
  if (!options.remote.empty()) {
    const auto asked = ask_remote(repository, branch, options);
    if (!asked) {
      state = VerifyReport::Remote::unreachable;
      reason = asked.error().what;
    } else if (!*asked) {
      state = VerifyReport::Remote::missing;
      reason = "the remote has no branch " + branch;
    } else {
      there = *asked;
      state = VerifyReport::Remote::diverged;  // until the walk meets it
    }
  }
  const auto last = repository.ref("refs/detent/" + branch);
  if (!last) return last.error();
  auto report = Verification{repository, options}.run(*tip, *last, there);
  if (!report) return report.error();
  if (report->remote == VerifyReport::Remote::not_asked) {
    report->remote = state;
    report->remote_reason = reason;
    if (state == VerifyReport::Remote::diverged) {
      report->remote_reason = fmt::format("the remote stands at {}, which is not a commit of this log", there->hex());
    }
  }
  return report;
}

}  // namespace detent
