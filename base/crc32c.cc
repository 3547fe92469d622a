#include "base/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace detent {

static_assert(std::endian::native == std::endian::little, "the table and the files are little-endian");

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected

constexpr auto kTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (int t = 1; t < 8; ++t) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xff];
  }
  return tables;
}();

std::uint32_t by_table(std::uint32_t crc, const unsigned char* at, std::size_t size) {
  for (; size >= 8; at += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= crc;
    crc = 0;
    for (int t = 0; t < 8; ++t) crc ^= kTables[7 - t][(word >> (8 * t)) & 0xff];
  }
  for (; size > 0; ++at, --size) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
  return crc;
}

#if defined(__x86_64__)

// A run of zero bytes multiplies the state by a fixed power of x: four table look-ups do it for a whole lane, so that
// three lanes can be computed at once and joined (the instruction takes three cycles, but one can begin in each).
constexpr std::size_t kLane = 1024;

constexpr auto kShiftLane = [] {
  std::array<std::array<std::uint32_t, 256>, 4> shift{};
  std::array<std::uint32_t, 32> power{};  // what each bit becomes after kLane zero bytes
  for (int bit = 0; bit < 32; ++bit) {
    std::uint32_t crc = 1u << bit;
    for (std::size_t i = 0; i < kLane; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
    power[bit] = crc;
  }
  for (int byte = 0; byte < 4; ++byte) {
    for (std::uint32_t i = 0; i < 256; ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        if (i >> bit & 1) shift[byte][i] ^= power[8 * byte + bit];
      }
    }
  }
  return shift;
}();

std::uint32_t shift_lane(std::uint32_t crc) {
  return kShiftLane[0][crc & 0xff] ^ kShiftLane[1][crc >> 8 & 0xff] ^ kShiftLane[2][crc >> 16 & 0xff] ^
         kShiftLane[3][crc >> 24];
}

std::uint64_t word_at(const unsigned char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t crc, const unsigned char* at,
                                                               std::size_t size) {
  std::uint64_t a = crc;
  for (; size >= 3 * kLane; at += 3 * kLane, size -= 3 * kLane) {
    std::uint64_t b = 0, c = 0;
    for (std::size_t i = 0; i < kLane; i += 8) {
      a = _mm_crc32_u64(a, word_at(at + i));
      b = _mm_crc32_u64(b, word_at(at + kLane + i));
      c = _mm_crc32_u64(c, word_at(at + 2 * kLane + i));
    }
    a = shift_lane(shift_lane(static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b)) ^ c;
  }
  for (; size >= 8; at += 8, size -= 8) a = _mm_crc32_u64(a, word_at(at));
  auto rest = static_cast<std::uint32_t>(a);
  for (; size > 0; ++at, --size) rest = _mm_crc32_u8(rest, *at);
  return rest;
}

#endif

using Compute = std::uint32_t (*)(std::uint32_t, const unsigned char*, std::size_t);

Compute fastest() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) return by_instruction;
#endif
  return by_table;
}

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, const void* bytes, std::size_t size) {
  static const Compute compute = fastest();
  return ~compute(~crc, static_cast<const unsigned char*>(bytes), size);
}

std::uint32_t crc32c_by_table(std::uint32_t crc, const void* bytes, std::size_t size) {
  return ~by_table(~crc, static_cast<const unsigned char*>(bytes), size);
}

}  // namespace detent
