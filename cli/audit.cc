#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <memory>
#include <vector>

#include "base/ulid.h"
#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"
#include "ledger/audit/audit_reader.h"
#include "ledger/config.h"
#include "proto/wire.pb.h"

namespace detent {

namespace json = boost::json;

namespace {

struct Options {
  std::string which;
  uint64_t count = 20;
  bool no_remote = false;
  bool no_journal = false;
};

AuditReader reader(Invocation& invocation) {
  return AuditReader::open(invocation.config().of<LedgerConfig>().repository).value();
}

struct Journalled {
  uint64_t seq = 0;
  Hash hash{};
};

/// All signals that the running broker's journal holds, in the order of their numbers.
std::vector<Journalled> journalled(Invocation& invocation) {
  std::vector<Journalled> signals;
  BrokerClient client(invocation.endpoint(), invocation.deadline);
  Millis heard = system_now().mono;
  client.tail({.channel = {}, .type = {}, .since_ms = 1}, [&](const Tailed* tailed) {
    const Millis now = system_now().mono;
    if (!tailed) {
      if (now - heard > invocation.deadline) throw Failure("the broker fell silent before it had told all of it");
      return true;
    }
    heard = now;
    if (tailed->missed()) throw Failure("the broker cannot read its journal whole");
    for (const TailedSignal& signal : tailed->signals()) signals.push_back({signal.seq(), hash_of(signal.signal())});
    return !tailed->caught_up();
  });
  return signals;
}

std::string_view name_of(VerifyReport::Remote remote) {
  switch (remote) {
    case VerifyReport::Remote::not_asked:
      return "not asked";
    case VerifyReport::Remote::equal:
      return "equal";
    case VerifyReport::Remote::behind:
      return "behind";
    case VerifyReport::Remote::missing:
      return "missing";
    case VerifyReport::Remote::diverged:
      return "diverged";
    case VerifyReport::Remote::unreachable:
      return "unreachable";
  }
  return "";
}

json::object as_json(const VerifyReport& report) {
  json::array problems, foreign;
  for (const std::string& problem : report.problems) problems.emplace_back(problem);
  for (const std::string& commit : report.foreign) foreign.emplace_back(commit);
  return {{"whole", report.whole()},
          {"commits", report.commits},
          {"lines", report.lines},
          {"signals", report.signals},
          {"receipts", report.receipts},
          {"first_seq", report.first_seq},
          {"last_seq", report.last_seq},
          {"compared_with_journal", report.compared},
          {"tip", report.tip},
          {"hash", report.hash},
          {"problems", std::move(problems)},
          {"problem_count", report.problem_count},
          {"foreign", std::move(foreign)},
          {"remote", name_of(report.remote)},
          {"remote_behind", report.remote_behind},
          {"remote_reason", report.remote_reason}};
}

void verify(Invocation& invocation, const Options& options) {
  VerifyOptions asked;
  asked.first_seq = 1;  // the broker counts from there, and the ledger keeps all
  std::vector<Journalled> journal;
  std::string journal_note;
  if (!options.no_journal) {
    try {
      journal = journalled(invocation);
      asked.journal = [&journal](uint64_t seq) {
        const auto found = std::lower_bound(journal.begin(), journal.end(), seq,
                                            [](const Journalled& one, uint64_t wanted) { return one.seq < wanted; });
        return found == journal.end() || found->seq != seq ? std::nullopt : std::optional(found->hash);
      };
    } catch (const Failure& error) {
      journal_note = std::string("not compared with the journal (--no-journal does without): ") + error.what();
    }
  }
  if (!options.no_remote) asked.remote = invocation.config().of<LedgerConfig>().remote;
  const VerifyReport report = reader(invocation).verify(asked).value();
  const bool known = journal_note.empty() && report.remote != VerifyReport::Remote::unreachable;
  invocation.exit = report.whole() && known ? kDone : kFailed;
  if (invocation.json) {
    json::object out = as_json(report);
    if (!journal_note.empty()) out["note"] = journal_note;
    invocation.out << out << "\n";
    return;
  }
  auto& out = invocation.out;
  for (const std::string& problem : report.problems) out << "WRONG  " << problem << "\n";
  if (report.problem_count > report.problems.size())
    out << "WRONG  and " << report.problem_count - report.problems.size() << " more\n";
  for (const std::string& commit : report.foreign) out << "note   a commit that is not Detent's: " << commit << "\n";
  if (!journal_note.empty()) out << "note   " << journal_note << "\n";
  out << fmt::format("{} signals ({} to {}) and {} receipts in {} commits\n", report.signals, report.first_seq,
                     report.last_seq, report.receipts, report.commits);
  if (asked.journal) out << fmt::format("{} compared with the journal\n", report.compared);
  if (report.waiting) out << fmt::format("{} wait to be gathered into one commit\n", report.waiting);
  if (report.remote != VerifyReport::Remote::not_asked) {
    out << "the remote is " << name_of(report.remote);
    if (report.remote == VerifyReport::Remote::behind) out << " by " << report.remote_behind << " commits";
    out << (report.remote_reason.empty() ? "" : ": " + report.remote_reason) << "\n";
  }
  if (report.signals) out << "last line's hash: " << report.hash << "\n";
  out << (!report.whole() ? "the ledger is NOT whole\n"
          : known         ? "the ledger is whole\n"
                          : "the ledger is whole as far as could be told\n");
}

void list(Invocation& invocation, const Options& options) {
  std::vector<LedgerCommit> commits;
  reader(invocation)
      .commits([&](const LedgerCommit& commit) {
        commits.push_back(commit);
        return commits.size() < options.count;
      })
      .value();
  if (invocation.json) {
    for (const LedgerCommit& commit : commits) {
      invocation.out
          << json::object{{"commit", commit.id},       {"subject", commit.subject},     {"time", utc(commit.time)},
                          {"foreign", commit.foreign}, {"first_seq", commit.first_seq}, {"last_seq", commit.last_seq},
                          {"file", commit.file}}
          << "\n";
    }
    return;
  }
  for (const LedgerCommit& commit : commits) {
    invocation.out << commit.id.substr(0, 12) << "  " << utc(commit.time) << "  " << plain(commit.subject)
                   << (commit.foreign ? "  (not Detent's)" : "") << "\n";
  }
}

void show(Invocation& invocation, const Options& options) {
  if (options.which.empty()) return list(invocation, options);
  uint64_t seq = 0;
  const char* end = options.which.data() + options.which.size();
  const bool number = std::from_chars(options.which.data(), end, seq).ptr == end;
  if (!number && !Ulid::parse(options.which)) {
    throw Usage("\"" + options.which + "\" is neither a signal's id (26 characters) nor its number");
  }
  const AuditReader ledger = reader(invocation);
  const auto places = number ? ledger.show(seq).value() : ledger.show(std::string_view(options.which)).value();
  if (places.empty()) throw Failure(options.which + " is not in the ledger");
  for (const LedgerPlace& place : places) {
    if (!invocation.json) invocation.out << place.file << " line " << place.line << "\n";
    invocation.out << place.text << "\n";
  }
}

}  // namespace

void add_audit(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* audit = app.add_subcommand("audit", "The git ledger: prove that it is whole, and read it");
  audit->require_subcommand(1);
  auto* verifying = audit->add_subcommand(
      "verify", "No gap, the chain whole, equal to the journal and the remote; exit 1 where not, or not known");
  verifying->add_flag("--no-journal", options->no_journal, "Do not compare with what the broker's journal holds");
  verifying->add_flag("--no-remote", options->no_remote, "Do not ask the remote");
  add_asking_options(*verifying, invocation);
  verifying->callback([&invocation, options] { verify(invocation, *options); });
  auto* showing = audit->add_subcommand("show", "A signal's lines, or the last commits");
  showing->add_option("SIGNAL", options->which, "Its id or its number; without it the last commits");
  showing->add_option("--count", options->count, "How many commits (default: 20)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  add_json_option(*showing, invocation);
  showing->footer("The same by hand: git --git-dir=/var/lib/detent/ledger.git log --oneline detent/ledger");
  showing->callback([&invocation, options] { show(invocation, *options); });
}

}  // namespace detent
