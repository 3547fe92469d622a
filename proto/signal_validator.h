// The check that every signal passes before it is journalled: well-formed, within the limits written in proto/*.proto,
// and free of secrets. It reads the encoded bytes in place; nothing is unpacked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text_map.h"

namespace detent {

/// What the broker reads of a signal. Views into the checked bytes.
struct SignalHeader {
  std::string_view id, type, source, thread, in_reply_to, payload;
  uint32_t severity = 0;
  bool needs_response = false;
  int64_t created_ms = 0;
  int64_t expires_ms = 0;
  std::vector<std::pair<std::string_view, std::string_view>> labels;
};

/// Why a signal is refused for good. `reason` is a Reason of proto/wire.proto.
struct Rejection {
  int reason = 0;
  std::string text;
};

class SignalValidator {
 public:
  /// Masks secrets in a text without changing its length; true where it found one.
  using Mask = std::function<bool(std::span<char>)>;

  explicit SignalValidator(Mask mask);
  ~SignalValidator();

  /// Checks one encoded Signal, masks the secrets in its texts in place, and reads its head. Nothing where it is good.
  std::optional<Rejection> check(std::span<char> signal, SignalHeader& head);

  /// Checks the body of a client's frame, that of number `field` in Frame's oneof, against the limits in
  /// proto/wire.proto. Why it is malformed, or nothing. The signals of a Publish are for `check`.
  std::optional<std::string> check_frame(uint32_t field, std::string_view body);

  /// Masks the secrets in a text that is to be kept or shown, as in a signal's.
  void mask(std::string& text);

  /// Seconds after which signals of `type` expire by default; 0: never.
  uint32_t expires_after(std::string_view type) const;

  uint64_t masked() const { return masked_; }

  struct Shape;

 private:
  /// `masks`: the bytes are the caller's own to write to, and their texts are masked.
  bool walk(std::string_view bytes, const Shape& shape, int depth, bool masks, std::string& why,
            SignalHeader* head = nullptr);
  bool text(std::string_view bytes, bool masks);

  Mask mask_;
  std::map<std::string, std::unique_ptr<Shape>, std::less<>> shapes_;  // by message name
  TextMap<const Shape*> by_type_;
  std::map<uint32_t, const Shape*> frames_;  // by number in Frame's oneof
  const Shape* signal_ = nullptr;
  const Shape* note_ = nullptr;
  uint64_t masked_ = 0;
};

/// Reads the head of a signal that passed the door before.
SignalHeader read_header(std::string_view signal);

/// "title" of any payload: every payload message begins with a Note's fields.
std::string_view payload_title(std::string_view payload);
std::string_view payload_body(std::string_view payload);

}  // namespace detent
