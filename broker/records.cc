#include "broker/records.h"

#include <spdlog/spdlog.h>

#include "broker/admitted.h"
#include "proto/journal.pb.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr size_t kMaxFailed = 3;  // bodies of a frame, after which the others are not tried
}  // namespace

uint64_t id_of(const DeadLetter& letter) {
  if (letter.delivery()) return letter.delivery();
  return letter.seqs_size() ? letter.seqs(0) : 0;
}

std::string deliver_frame(const Outgoing::Bodies& bodies, JournalReader& journal, Unread& unread) {
  // Deliver{…}, written by hand: this is the path of every delivery.
  std::string body;
  size_t expected = 64 + bodies.channel.size();
  for (const auto& item : bodies.items) expected += item.at.size + 72;
  body.reserve(expected);
  wire::bytes(body, Deliver::kChannelFieldNumber, bodies.channel);
  for (const auto& item : bodies.items) {
    if (unread.failed.size() >= kMaxFailed) {
      unread.untried.push_back(item);
      continue;
    }
    const auto record = journal.read({item.at.segment, item.at.offset, item.at.size});
    if (!record) {
      const bool lost = is_lost(record.error());
      if (lost || unread.failed.empty())
        spdlog::error("signal {} for {} cannot be read: {}", item.seq, bodies.channel, record.error().what);
      if (!lost) unread.why = record.error().what;
      (lost ? unread.lost : unread.failed).push_back(item);
      continue;
    }
    const std::string_view signal = signal_of(*record);
    const auto journalled_ms = static_cast<uint64_t>(item.journalled_ms);
    size_t one = wire::bytes_size(signal.size()) + wire::number_size(item.seq) + wire::number_size(journalled_ms);
    if (item.repeat_unproven) one += wire::number_size(1);
    if (item.copy) one += wire::number_size(1);
    size_t inside = wire::number_size(item.delivery) + wire::number_size(item.attempt) + wire::bytes_size(one);
    for (const auto& part : item.parts) inside += wire::bytes_size(part.size());
    const size_t before = body.size();
    body.resize(before + wire::bytes_size(inside));
    char* at = wire::put_head(body.data() + before, Deliver::kDeliveriesFieldNumber, inside);
    at = wire::put_number(at, Delivery::kIdFieldNumber, item.delivery);
    at = wire::put_number(at, Delivery::kAttemptFieldNumber, item.attempt);
    for (const auto& part : item.parts) at = wire::put_bytes(at, Delivery::kPartsFieldNumber, part);
    at = wire::put_head(at, Delivery::kSignalsFieldNumber, one);
    at = wire::put_bytes(at, DeliveredSignal::kSignalFieldNumber, signal);
    at = wire::put_number(at, DeliveredSignal::kSeqFieldNumber, item.seq);
    at = wire::put_number(at, DeliveredSignal::kJournalledMsFieldNumber, journalled_ms);
    if (item.repeat_unproven) at = wire::put_number(at, DeliveredSignal::kRepeatUnprovenFieldNumber, 1);
    if (item.copy) wire::put_number(at, DeliveredSignal::kCopyFieldNumber, 1);
  }
  return seal(bodies.session, bodies.number, Frame::kDeliver, body);
}

}  // namespace detent
