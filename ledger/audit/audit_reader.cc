#include "ledger/audit/audit_reader.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/ulid.h"
#include "ledger/audit/history.h"
#include "ledger/audit/line.h"
#include "ledger/audit/verify.h"

namespace detent {
namespace {

/// Producers' clocks may be ahead of the broker's by this much when a signal's id is made.
constexpr auto kClockAhead = std::chrono::hours{24};

/// Files of one hour in the order in which they were written: "42.jsonl", "42.1.jsonl", "107.jsonl".
std::pair<std::uint64_t, std::uint64_t> order_of(const std::string& name) {
  std::pair<std::uint64_t, std::uint64_t> order{0, 0};
  const char* const end = name.data() + name.size();
  const auto after = std::from_chars(name.data(), end, order.first).ptr;
  if (after != end) std::from_chars(after + 1, end, order.second);
  return order;
}

/// What is looked for, and what was found of it so far. A signal's lines carry its id. A receipt may name its signal by
/// the number alone, which a restart does not forget; and a dead letter that was brought back has a number of its own.
struct Search {
  std::string id;
  std::vector<LedgerPlace> found;
  std::set<std::uint64_t> seqs, taken;  // known to be its own, and those whose signals are in `found`
  std::vector<std::string> numbers;     // `seqs`, as lines have them
  std::size_t channels = 0;
  std::set<std::pair<std::uint64_t, std::string>> settled;
  std::set<std::string> dead;  // channels in which the last one was given up: it may be brought back

  bool complete() const {
    return !taken.empty() && taken.size() == seqs.size() && settled.size() >= channels && dead.empty();
  }

  void know(std::uint64_t seq) {
    if (seqs.insert(seq).second) numbers.push_back(fmt::format("\"seq\":{},", seq));
  }

  /// From the beginning, with the numbers that are known by now.
  void look_again() {
    found.clear();
    taken.clear();
    channels = 0;
    settled.clear();
    dead.clear();
  }

  std::size_t next(std::string_view text, std::size_t from) const {
    std::size_t at = text.find(id, from);
    for (const auto& number : numbers) at = std::min(at, text.find(number, from));
    return at;
  }

  /// False where it is there already: a restart copies the journal's tail, and so its receipts may come twice.
  bool take(const LedgerLine& line) {
    if (!line.receipt) {
      if (!taken.insert(line.seq).second) return false;
      know(line.seq);
      channels += line.channels;
      return true;
    }
    know(line.seq);
    if (!settled.emplace(line.seq, line.channel).second) return false;
    if (line.state == name_of(ReceiptState::dead)) {
      dead.insert(line.channel);
    } else {
      dead.erase(line.channel);
    }
    return true;
  }

  void look_into(const std::string& path, std::string_view text) {
    std::size_t number = 1, counted = 0;
    for (auto at = next(text, 0); at != std::string_view::npos;) {
      const auto newline = text.rfind('\n', at);
      const auto start = newline == std::string_view::npos ? 0 : newline + 1;
      const auto end = std::min(text.find('\n', at), text.size());
      number += static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(counted),
                                                    text.begin() + static_cast<std::ptrdiff_t>(start), '\n'));
      counted = start;
      const auto whole = text.substr(start, end - start);
      if (auto line = parse_line(whole);
          line && (line->id == id || (line->receipt && seqs.contains(line->seq))) && take(*line)) {
        found.push_back({{}, path, number, line->receipt, std::string{whole}, std::move(line->raw)});
      }
      at = next(text, end);
    }
  }
};

}  // namespace

struct AuditReader::Parts {
  Repository repository;
  std::string branch;

  /// Looks through a folder `depth` levels above the files, from the hour `from` ("signals/2026/11/22/14") on.
  Result<> look_through(Search& search, const Oid& tree, const std::string& path, int depth,
                        const std::string& from) const {
    auto entries = repository.entries(tree);
    if (!entries) return entries.error();
    if (depth == 0) {
      std::sort(entries->begin(), entries->end(),
                [](const auto& a, const auto& b) { return order_of(a.name) < order_of(b.name); });
    }
    for (const TreeEntry& entry : *entries) {
      const std::string below = path + "/" + entry.name;
      if (search.complete() || entry.folder != (depth > 0) || below < from.substr(0, below.size())) continue;
      if (depth > 0) {
        if (const auto done = look_through(search, entry.id, below, depth - 1, from); !done) return done.error();
        continue;
      }
      const auto text = repository.blob(entry.id);
      if (!text) return text.error();
      search.look_into(below, *text);
    }
    return {};
  }

  /// Finds the commit that each place came with.
  Result<> name_commits(std::vector<LedgerPlace>& places, const Oid& tip) const {
    std::size_t open = places.size();
    if (open == 0) return {};
    return walk_ledger(repository, tip,
                       [&](const Commit& commit, const std::optional<CommitNote>& note) -> Result<bool> {
                         for (LedgerPlace& place : places) {
                           if (!note || !place.commit.empty() || place.file != note->file) continue;
                           place.commit = commit.id.hex();
                           --open;
                         }
                         return open > 0;
                       });
  }

  /// All lines of what is looked for, the signals' first.
  Result<std::vector<LedgerPlace>> find(Search search) const {
    if (search.id.empty()) return std::move(search.found);
    const auto tip = ledger_tip(repository, branch);
    if (!tip) return tip.error();
    const auto commit = repository.commit(*tip);
    if (!commit) return commit.error();
    const auto top = repository.find(commit->tree, "signals");
    if (!top) return top.error();
    if (!*top) return std::move(search.found);
    std::string from;
    if (const auto made = Ulid::parse(search.id)) {
      from = "signals/" + utc(std::max(Millis{0}, made->time() - kClockAhead)).substr(0, 13);
      std::replace_if(
          from.begin(), from.end(), [](char c) { return c == '-' || c == 'T'; }, '/');
    }
    if (const auto looked = look_through(search, (*top)->id, "signals", 4, from); !looked) return looked.error();
    if (!search.taken.empty() && !search.complete()) {
      // Where the clock went back meanwhile, receipts lie in an hour before their signal's.
      search.look_again();
      if (const auto looked = look_through(search, (*top)->id, "signals", 4, from); !looked) return looked.error();
      std::stable_partition(search.found.begin(), search.found.end(),
                            [](const LedgerPlace& one) { return !one.receipt; });
    }
    if (const auto named = name_commits(search.found, *tip); !named) return named.error();
    return std::move(search.found);
  }
};

AuditReader::AuditReader(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
AuditReader::AuditReader(AuditReader&&) noexcept = default;
AuditReader& AuditReader::operator=(AuditReader&&) noexcept = default;
AuditReader::~AuditReader() = default;

Result<AuditReader> AuditReader::open(const std::filesystem::path& path, const std::string& branch) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed) && !failed)
    return Error{"there is no ledger at " + path.string() + ": the broker makes it at its first start", ENOENT};
  auto repository = Repository::open(path);
  if (!repository) return repository.error();
  return AuditReader{std::unique_ptr<Parts>{new Parts{std::move(*repository), branch}}};
}

Result<> AuditReader::commits(const std::function<bool(const LedgerCommit&)>& each) const {
  const auto tip = ledger_tip(parts_->repository, parts_->branch);
  if (!tip) return tip.error();
  return walk_ledger(parts_->repository, *tip,
                     [&](const Commit& commit, const std::optional<CommitNote>& note) -> Result<bool> {
                       LedgerCommit out;
                       out.id = commit.id.hex();
                       out.subject = commit.message.substr(0, commit.message.find('\n'));
                       out.author = commit.author;
                       out.time = commit.time;
                       out.foreign = !note;
                       if (note) {
                         out.signal_ids = note->ids;
                         out.first_seq = note->first_seq;
                         out.last_seq = note->last_seq;
                         out.file = note->file;
                       }
                       return each(out);
                     });
}

Result<std::vector<LedgerPlace>> AuditReader::show(std::uint64_t seq) const {
  const auto tip = ledger_tip(parts_->repository, parts_->branch);
  if (!tip) return tip.error();
  std::string id;
  const std::string key = fmt::format("\"seq\":{},", seq);
  const auto walked = walk_ledger(
      parts_->repository, *tip, [&](const Commit& commit, const std::optional<CommitNote>& note) -> Result<bool> {
        if (!note || note->first_seq == 0 || seq < note->first_seq || seq > note->last_seq) return true;
        const auto entry = parts_->repository.find(commit.tree, note->file);
        if (!entry) return entry.error();
        if (!*entry) return true;
        const auto text = parts_->repository.blob((*entry)->id);
        if (!text) return text.error();
        for (auto at = text->find(key); at != std::string::npos && id.empty(); at = text->find(key, at + 1)) {
          const auto newline = text->rfind('\n', at);
          const auto start = newline == std::string::npos ? 0 : newline + 1;
          const auto end = std::min(text->find('\n', at), text->size());
          const auto line = parse_line(std::string_view{*text}.substr(start, end - start));
          if (line && !line->receipt && line->seq == seq) id = line->id;
        }
        return id.empty();
      });
  if (!walked) return walked.error();
  if (id.empty()) return std::vector<LedgerPlace>{};
  Search search;
  search.id = std::move(id);
  search.know(seq);
  return parts_->find(std::move(search));
}

Result<std::vector<LedgerPlace>> AuditReader::show(std::string_view id) const {
  Search search;
  search.id = std::string{id};
  return parts_->find(std::move(search));
}

Result<VerifyReport> AuditReader::verify(const VerifyOptions& options) const {
  return verify_ledger(parts_->repository, parts_->branch, options);
}

}  // namespace detent
