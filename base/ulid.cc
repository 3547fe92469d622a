#include "base/ulid.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/seed.h"

namespace detent {

namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

}  // namespace

std::optional<Ulid> Ulid::parse(std::string_view text) {
  if (text.size() != 26 || text[0] > '7') return std::nullopt;  // 26 * 5 bits are 130: the first two must be 0
  unsigned __int128 value = 0;
  for (const char c : text) {
    const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    const auto digit = kAlphabet.find(upper);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value << 5 | digit;
  }
  Ulid id;
  for (int i = 15; i >= 0; --i, value >>= 8) id.bytes[i] = static_cast<uint8_t>(value);
  return id;
}

Ulid Ulid::derived(Millis when, std::string_view of) {
  Ulid id;
  const auto ms = static_cast<uint64_t>(when.count());
  for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  const XXH128_hash_t hash = XXH3_128bits(of.data(), of.size());
  std::memcpy(&id.bytes[6], &hash.low64, 8);
  std::memcpy(&id.bytes[14], &hash.high64, 2);
  return id;
}

std::optional<Ulid> Ulid::from_bytes(std::string_view bytes) {
  Ulid id;
  if (bytes.size() != id.bytes.size()) return std::nullopt;
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

std::string Ulid::text() const {
  unsigned __int128 value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  std::string text(26, '0');
  for (int i = 25; i >= 0; --i, value >>= 5) text[i] = kAlphabet[static_cast<size_t>(value & 31)];
  return text;
}

Millis Ulid::time() const {
  int64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = ms << 8 | bytes[i];
  return Millis{ms};
}

UlidSource::UlidSource() : UlidSource(random_seed()) {}
UlidSource::UlidSource(uint64_t seed) : random_(seed) {}

Ulid UlidSource::next(Millis wall) {
  if (wall <= last_.time()) {  // the same millisecond, or the clock stepped back: count up
    for (int i = 15; i >= 0 && ++last_.bytes[i] == 0; --i) {
    }
    return last_;
  }
  int64_t ms = wall.count();
  for (int i = 5; i >= 0; --i, ms >>= 8) last_.bytes[i] = static_cast<uint8_t>(ms);
  uint64_t high = random_(), low = random_();
  std::memcpy(&last_.bytes[6], &high, 8);
  std::memcpy(&last_.bytes[14], &low, 2);
  last_.bytes[6] &= 0x7f;  // room to count up in
  return last_;
}

}  // namespace detent
