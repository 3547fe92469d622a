// Makes the bytes of a Signal: an id, the payload that belongs to the type, limits checked and secrets masked before
// anything leaves the process. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/redact.h"
#include "base/result.h"
#include "base/ulid.h"

namespace google::protobuf {
class Message;
}

namespace detent {

/// The head of a signal to be, and the texts that every payload has.
struct Draft {
  std::string type;
  std::string title{};
  std::string body{};
  std::string url{};
  /// Facts. One that is named as a field of the type's own payload ("host" of an incident) goes there.
  std::vector<std::pair<std::string, std::string>> fields{};
  std::string source{};
  /// Where not set, what the payload says: an error where it reports an exit code other than 0.
  std::optional<int> severity{};
  bool needs_response = false;
  std::vector<std::pair<std::string, std::string>> labels{};
  std::string thread{};
  /// From its creation; 0: the type's default.
  Millis expires_in{0};
  /// Where not set, a new one. A given one also gives the time of creation, so that the same draft with the same id is
  /// the same signal whenever it is built, and a repeat is recognised.
  Ulid id{};
  Ulid in_reply_to{};
};

struct Built {
  Ulid id;
  std::string signal;  // encoded
};

class SignalBuilder {
 public:
  explicit SignalBuilder(Patterns patterns = {});
  ~SignalBuilder();

  /// With the payload that the type asks for, made from the draft's texts. The error names the field and its limit.
  Result<Built> build(const Draft& draft, Now now);
  /// With `payload`, whose title, body, url and fields are the caller's (those of the draft are ignored).
  Result<Built> build(const Draft& draft, const google::protobuf::Message& payload, Now now);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace detent
