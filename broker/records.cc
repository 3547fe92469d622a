#include "broker/records.h"

#include <spdlog/spdlog.h>

#include "proto/journal.pb.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent {

std::string_view signal_of(std::string_view record) {
  Reader outer(record);
  if (!outer.next() || outer.field() != Record::kAdmittedFieldNumber) return {};
  Reader reader(outer.bytes());
  std::string_view signal;
  while (reader.next()) {
    if (reader.field() == Admitted::kSignalFieldNumber) signal = reader.bytes();
  }
  return signal;
}

bool read_admitted(std::string_view record, TailedSignal& out) {
  Reader outer(record);
  if (!outer.next() || outer.field() != Record::kAdmittedFieldNumber) return false;
  out.Clear();
  Reader reader(outer.bytes());
  while (reader.next()) {
    switch (reader.field()) {
      case Admitted::kSeqFieldNumber:
        out.set_seq(reader.number());
        break;
      case Admitted::kAtMsFieldNumber:
        out.set_journalled_ms(static_cast<int64_t>(reader.number()));
        break;
      case Admitted::kChannelsFieldNumber:
        out.add_channels(std::string(reader.bytes()));
        break;
      case Admitted::kSignalFieldNumber:
        out.set_signal(std::string(reader.bytes()));
        break;
      default:
        break;
    }
  }
  return true;
}

std::string deliver_frame(const Outgoing::Bodies& bodies, JournalReader& journal, std::vector<uint64_t>& lost) {
  std::string body;
  wire::bytes(body, Deliver::kChannelFieldNumber, bodies.channel);
  std::string inside;
  for (const auto& item : bodies.items) {
    const auto record = journal.read({item.at.segment, item.at.offset, item.at.size});
    if (!record) {
      spdlog::error("signal {} for {} cannot be read: {}", item.seq, bodies.channel, record.error().what);
      lost.push_back(item.seq);
      continue;
    }
    inside.clear();
    wire::number(inside, Delivery::kDeliveryFieldNumber, item.seq);
    wire::number(inside, Delivery::kAttemptFieldNumber, item.attempt);
    wire::bytes(inside, Delivery::kSignalFieldNumber, signal_of(*record));
    for (const auto& part : item.parts) wire::bytes(inside, Delivery::kPartsFieldNumber, part);
    if (item.repeat_unproven) wire::number(inside, Delivery::kRepeatUnprovenFieldNumber, 1);
    wire::number(inside, Delivery::kJournalledMsFieldNumber, static_cast<uint64_t>(item.journalled_ms));
    if (item.copy) wire::number(inside, Delivery::kCopyFieldNumber, 1);
    wire::bytes(body, Deliver::kDeliveriesFieldNumber, inside);
  }
  return seal(bodies.session, bodies.number, Frame::kDeliver, body);
}

}  // namespace detent
