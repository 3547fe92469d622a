// The signals that everything is measured with: a cron job's output, 256 bytes as encoded, each with an id of its own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/ulid.h"

namespace detent::bench {

inline constexpr size_t kSignalBytes = 256;

/// One thread.
class Signals {
 public:
  Signals();
  /// Valid until the next call.
  std::string_view next();
  const Ulid& id() const { return id_; }

 private:
  UlidSource ids_;
  Ulid id_;
  std::string bytes_;
  size_t id_at_ = 0;
  size_t made_ = 0;
  Millis wall_{0};
};

}  // namespace detent::bench
