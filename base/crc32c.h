// CRC32C (Castagnoli), by the processor's own instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace detent {

/// Of `size` bytes, going on from `crc`: crc32c(crc32c(0, a), b) is that of a and b together.
std::uint32_t crc32c(std::uint32_t crc, const void* bytes, std::size_t size);

/// The same without the instruction: what processors without it use, and what tests compare with.
std::uint32_t crc32c_by_table(std::uint32_t crc, const void* bytes, std::size_t size);

inline std::uint32_t crc32c(std::string_view bytes) { return crc32c(0, bytes.data(), bytes.size()); }

}  // namespace detent
