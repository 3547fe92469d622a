// Base64 with padding (RFC 4648, section 4), by OpenSSL: its encoder is eight times as fast as libsodium's, and the
// ledger writes every signal so. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace detent {

void append_base64(std::string& out, std::string_view bytes);
/// The bytes, where `text` is base64 as `append_base64` writes it and in no other form.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace detent
