// Reading the journal's records.
#pragma once

#include <string_view>

namespace detent {

class TailedSignal;

/// The bytes of the signal inside an Admitted record; empty where it is another kind of record.
std::string_view signal_of(std::string_view record);

/// False where the record is not an Admitted.
bool read_admitted(std::string_view record, TailedSignal& out);

}  // namespace detent
