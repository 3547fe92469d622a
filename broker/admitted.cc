#include "broker/admitted.h"

#include "proto/journal.pb.h"
#include "proto/reader.h"

namespace detent {

std::optional<AdmittedView> read_admitted(std::string_view record) {
  Reader outer(record);
  if (!outer.next() || outer.field() != Record::kAdmittedFieldNumber) return std::nullopt;
  AdmittedView out;
  Reader reader(outer.bytes());
  while (reader.next()) {
    switch (reader.field()) {
      case Admitted::kSeqFieldNumber:
        out.seq = reader.number();
        break;
      case Admitted::kAtMsFieldNumber:
        out.at_ms = static_cast<int64_t>(reader.number());
        break;
      case Admitted::kChannelsFieldNumber:
        out.channels.push_back(reader.bytes());
        break;
      case Admitted::kRepeatUnprovenFieldNumber:
        out.repeat_unproven = reader.number() != 0;
        break;
      case Admitted::kRevivedFieldNumber:
        out.revived = reader.number() != 0;
        break;
      case Admitted::kCopiesFieldNumber:
        out.copies = reader.number() != 0;
        break;
      case Admitted::kSignalFieldNumber:
        out.signal = reader.bytes();
        break;
      default:
        break;
    }
  }
  return out;
}

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

}  // namespace detent
