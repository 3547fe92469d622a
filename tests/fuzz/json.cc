// Any text that is taken for signals in JSON becomes signals that protobuf reads.
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/ulid.h"
#include "proto/json.h"
#include "proto/signal.pb.h"
#include "proto/signal_validator.h"

using namespace detent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SignalValidator validator(nullptr);
  UlidSource ids;
  const auto signals = signals_from_json({reinterpret_cast<const char*>(data), size}, ids, {Millis{0}, Millis{1}});
  if (!signals) {
    CHECK(!signals.error().what.empty(), "a refusal says why");
    return 0;
  }
  for (std::string bytes : *signals) {
    Signal signal;
    CHECK(signal.ParseFromString(bytes), "what was made can be read");
    SignalHeader head;
    (void)validator.check(bytes, head);  // limits may refuse it
  }
  return 0;
}
