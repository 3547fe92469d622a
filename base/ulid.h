// ULIDs (github.com/ulid/spec): 48 bits of milliseconds, 80 random bits, ordered as bytes and as text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace detent {

struct Ulid {
  std::array<uint8_t, 16> bytes{};

  /// From the 26 characters of Crockford's base 32, either case; nothing where they are not a ULID.
  static std::optional<Ulid> parse(std::string_view text);
  /// From the 16-byte form; nothing at any other size.
  static std::optional<Ulid> from_bytes(std::string_view bytes);
  /// With the time `when`, and else made from `of`: always the same from the same.
  static Ulid derived(Millis when, std::string_view of);
  /// 26 characters.
  std::string text() const;
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  Millis time() const;

  auto operator<=>(const Ulid&) const = default;
};

/// Makes ULIDs that ascend, also within a millisecond and when the clock steps back. One thread.
class UlidSource {
 public:
  UlidSource();
  explicit UlidSource(uint64_t seed);
  Ulid next(Millis wall);

 private:
  std::mt19937_64 random_;
  Ulid last_;
};

}  // namespace detent
