// An Admitted record, read where it lies: unpacking each signal would cost more than all else.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace detent {

/// Its texts are those of the record, and valid as long as that.
struct AdmittedView {
  uint64_t seq = 0;
  int64_t at_ms = 0;
  std::vector<std::string_view> channels;
  bool repeat_unproven = false;
  bool revived = false;
  bool copies = false;
  std::string_view signal;
};

/// Nothing where it is another kind of record.
std::optional<AdmittedView> read_admitted(std::string_view record);

/// Its signal alone; empty where it is another kind of record.
std::string_view signal_of(std::string_view record);

}  // namespace detent
