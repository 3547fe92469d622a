// What passes the door is what protobuf reads too, holds no secret that a second look would find, and can be told as
// JSON.
#include <boost/json.hpp>
#include <cstdint>
#include <string>

#include "base/redact.h"
#include "base/result.h"
#include "proto/json.h"
#include "proto/signal.pb.h"
#include "proto/signal_validator.h"

using namespace detent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const SignalValidator::Mask mask = [](std::span<char> text) { return redact(text, Patterns()); };
  static SignalValidator validator(mask);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  SignalHeader head;
  if (validator.check(bytes, head)) return 0;
  CHECK(bytes.size() == size, "masking keeps the length");
  Signal signal;
  CHECK(signal.ParseFromString(bytes), "what passes the door can be read");
  CHECK(signal.id() == head.id && signal.type() == head.type && signal.source() == head.source &&
            signal.thread() == head.thread && signal.payload() == head.payload,
        "the head is the signal's");
  CHECK(static_cast<uint32_t>(signal.severity()) == head.severity && signal.needs_response() == head.needs_response &&
            signal.created_ms() == head.created_ms && signal.expires_ms() == head.expires_ms,
        "the head is the signal's");
  std::string again = bytes;
  CHECK(!validator.check(again, head), "what passed the door once passes it again");
  CHECK(again == bytes, "no secret is left for a second look");
  boost::system::error_code error;
  boost::json::parse(signal_to_json(bytes), error);
  CHECK(!error, "JSON is JSON");
  return 0;
}
