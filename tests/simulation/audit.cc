#include "tests/simulation/audit.h"

#include <spdlog/fmt/fmt.h>

#include <boost/json.hpp>

#include "ledger/audit/audit_reader.h"
#include "proto/journal.pb.h"

namespace detent::test {

namespace {

ReceiptState receipt_of(int state) {
  switch (state) {
    case SettledRecord::DELIVERED:
      return ReceiptState::delivered;
    case SettledRecord::UNKNOWN:
      return ReceiptState::unknown;
    case SettledRecord::EXPIRED:
      return ReceiptState::expired;
    case SettledRecord::DROPPED:
      return ReceiptState::dropped;
    default:
      return ReceiptState::dead;
  }
}

}  // namespace

Audit::Audit(std::filesystem::path folder) : folder_(std::move(folder)) { std::filesystem::remove_all(folder_); }

Audit::~Audit() {
  close();
  std::filesystem::remove_all(folder_);
}

std::string Audit::open(const Journal& journal, Now now) {
  AuditLog::Options options;
  options.repository = folder_ / "ledger.git";
  options.limits.gather = Millis{20'000};
  const LogPosition end = journal.end();
  options.journal_end = LedgerFeed::place_number({end.segment, static_cast<uint32_t>(end.offset), 0});
  auto log = AuditLog::open(options, now);
  if (!log) return "the ledger: " + log.error().what;
  log_ = std::move(*log);
  feed_.emplace(*log_);
  tail_ = journal.tail(LedgerFeed::position(log_->progress().complete_to));
  return alarms();
}

void Audit::close() {
  tail_.reset();
  feed_.reset();
  log_.reset();
}

std::string Audit::turn(const LogPosition& synced, size_t most, Now now) {
  while (most-- && !log_->full()) {
    const auto next = tail_->next(synced);
    if (!next || !*next) break;  // what cannot be read for a moment is asked for again
    feed_->add((*next)->origin, (*next)->bytes, now);
  }
  if (const auto turned = log_->turn(now); !turned) return "the ledger: " + turned.error().what;
  return alarms();
}

std::string Audit::alarms() {
  for (const auto& alarm : log_->take_alarms()) return "the ledger's alarm: " + alarm.text;
  return {};
}

std::string Audit::check(const Books& books, const LogPosition& synced, Now now) {
  if (auto broken = turn(synced, SIZE_MAX, now); !broken.empty()) return broken;
  if (const auto flushed = log_->flush(now); !flushed) return "the ledger: " + flushed.error().what;
  const auto reader = AuditReader::open(folder_ / "ledger.git");
  if (!reader) return "the ledger: " + reader.error().what;
  VerifyOptions options;
  options.first_seq = 1;
  options.last_seq = books.signals.size();
  options.journal = [&books](uint64_t seq) { return std::optional(hash_of(books.signals.at(seq).bytes)); };
  const auto report = reader->verify(options);
  if (!report) return "the ledger: " + report.error().what;
  if (!report->whole()) return "the ledger is not whole: " + report->problems.front();
  if (report->signals != books.signals.size())
    return fmt::format("the ledger has {} signals, the journal had {}", report->signals, books.signals.size());
  std::map<Books::Place, std::string> told;
  for (const auto& [seq, entry] : books.signals) {
    const auto lines = reader->show(seq);
    if (!lines) return "the ledger: " + lines.error().what;
    for (const auto& line : *lines) {
      if (!line.receipt) continue;
      const auto receipt = boost::json::parse(line.text).as_object();
      told[{std::string(receipt.at("channel").as_string()), receipt.at("seq").to_number<uint64_t>()}] =
          std::string(receipt.at("receipt").as_string());
    }
  }
  if (told.size() != books.settled.size() || report->receipts != told.size())
    return fmt::format("the ledger has {} receipts, {} of them to be found, and the journal had {}", report->receipts,
                       told.size(), books.settled.size());
  for (const auto& [place, settling] : books.settled) {
    if (told[place] != name_of(receipt_of(settling.state)))
      return fmt::format("the ledger says \"{}\" of {} in {}", told[place], place.seq, place.channel);
  }
  return {};
}

}  // namespace detent::test
