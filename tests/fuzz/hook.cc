// Whatever is posted to the OpenClaw hook is refused with a reason, or becomes a signal that passes the broker's check
// and is the same when it is posted again.
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "broker/openclaw_hook.h"
#include "proto/signal.pb.h"
#include "proto/signal_validator.h"

using namespace detent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SignalValidator validator(nullptr);
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  auto signal = signal_from_openclaw(body);
  if (!signal) {
    CHECK(!signal.error().what.empty(), "a refusal says why");
    return 0;
  }
  CHECK(*signal == signal_from_openclaw(body).value(), "a repeat is the same signal");
  SignalHeader head;
  const auto rejection = validator.check(*signal, head);
  CHECK(!rejection, "what was made is within the limits");
  return 0;
}
