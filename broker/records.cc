#include "broker/records.h"

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
      case Admitted::kSeqFieldNumber: out.set_seq(reader.number()); break;
      case Admitted::kAtMsFieldNumber: out.set_journalled_ms(static_cast<int64_t>(reader.number())); break;
      case Admitted::kChannelsFieldNumber: out.add_channels(std::string(reader.bytes())); break;
      case Admitted::kSignalFieldNumber: out.set_signal(std::string(reader.bytes())); break;
      default: break;
    }
  }
  return true;
}

}  // namespace detent
