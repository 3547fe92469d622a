#include "broker/ledger_feed.h"

#include "broker/admitted.h"
#include "ledger/audit/audit_log.h"
#include "proto/journal.pb.h"
#include "proto/json.h"
#include "proto/reader.h"
#include "proto/signal_validator.h"

namespace detent {

namespace {
constexpr size_t kRemembered = 65'536;
}  // namespace

LedgerFeed::LedgerFeed(AuditLog& log) : log_(log), ids_(kRemembered) {}

void LedgerFeed::add(const RecordPosition& place, std::string_view record, Now now) {
  Reader outer(record);
  if (!outer.next()) return;
  if (outer.field() == Record::kAdmittedFieldNumber) add_signal(place, record, now);
  if (outer.field() == Record::kSettledFieldNumber) add_receipts(place, record, now);
}

void LedgerFeed::add_signal(const RecordPosition& place, std::string_view record, Now now) {
  AdmittedView admitted = *read_admitted(record);
  const SignalHeader head = read_header(admitted.signal);
  const std::string id = Ulid::from_bytes(head.id).value_or(Ulid{}).text();
  const std::string reply =
      head.in_reply_to.empty() ? std::string() : Ulid::from_bytes(head.in_reply_to).value_or(Ulid{}).text();
  const std::string severity(severity_name(static_cast<int>(head.severity)));
  LedgerSignal signal;
  signal.place = place_number(place);
  signal.seq = admitted.seq;
  signal.journalled = Millis{admitted.at_ms};
  signal.channels = std::move(admitted.channels);
  signal.raw = admitted.signal;
  signal.id = id;
  signal.type = head.type;
  signal.source = head.source;
  signal.severity = severity;
  signal.needs_response = head.needs_response;
  for (const auto& label : head.labels) signal.labels.push_back(label);
  signal.thread = head.thread;
  signal.in_reply_to = reply;
  signal.created = Millis{head.created_ms};
  signal.expires = Millis{head.expires_ms};
  signal.title = payload_title(head.payload);
  signal.body = payload_body(head.payload);
  ids_[signal.seq % kRemembered] = id;
  last_seen_seq_ = signal.seq;
  log_.add(signal, now);
}

void LedgerFeed::add_receipts(const RecordPosition& place, std::string_view bytes, Now now) {
  Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto& settled = record.settled();
  LedgerReceipt receipt;
  receipt.delivery = settled.delivery();
  receipt.channel = settled.channel();
  switch (settled.state()) {
    case SettledRecord::DELIVERED:
      receipt.state = ReceiptState::delivered;
      break;
    case SettledRecord::UNKNOWN:
      receipt.state = ReceiptState::unknown;
      break;
    case SettledRecord::EXPIRED:
      receipt.state = ReceiptState::expired;
      break;
    case SettledRecord::DROPPED:
      receipt.state = ReceiptState::dropped;
      break;
    default:
      receipt.state = ReceiptState::dead;
      break;
  }
  if (settled.parts_size()) {
    receipt.message = settled.parts(0).message_id();
    receipt.link = settled.parts(0).link();
  }
  receipt.cause = settled.cause();
  receipt.time = Millis{settled.at_ms()};
  for (int i = 0; i < settled.seqs_size(); ++i) {
    receipt.place = place_number(place) + static_cast<uint64_t>(i);
    receipt.seq = settled.seqs(i);
    // An id that was overwritten by a later signal's is not said: the number names the signal all the same.
    receipt.id = receipt.seq + kRemembered > last_seen_seq_ ? std::string_view(ids_[receipt.seq % kRemembered]) : "";
    log_.add(receipt, now);
  }
}

}  // namespace detent
