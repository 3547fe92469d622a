// The chain that makes a removed, added or altered line show: BLAKE2b-256 over the line before and this one.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace detent {

using Hash = std::array<unsigned char, 32>;

/// BLAKE2b-256 of `bytes`.
Hash hash_of(std::string_view bytes);
/// BLAKE2b-256 of the previous line's hash followed by `line`.
Hash link(const Hash& previous, std::string_view line);

void append_hex(std::string& out, const Hash& hash);
std::string to_hex(const Hash& hash);
std::optional<Hash> hash_from_hex(std::string_view text);

}  // namespace detent
