#include "ledger/audit/chain.h"

#include <sodium.h>

#include "base/result.h"

namespace detent {
namespace {

void ready() {
  static const bool initialised = sodium_init() >= 0;
  CHECK(initialised, "libsodium does not start");
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Hash hash_of(std::string_view bytes) {
  ready();
  Hash hash;
  crypto_generichash(hash.data(), hash.size(), bytes_of(bytes), bytes.size(), nullptr, 0);
  return hash;
}

Hash link(const Hash& previous, std::string_view line) {
  ready();
  crypto_generichash_state state;
  Hash hash;
  crypto_generichash_init(&state, nullptr, 0, hash.size());
  crypto_generichash_update(&state, previous.data(), previous.size());
  crypto_generichash_update(&state, bytes_of(line), line.size());
  crypto_generichash_final(&state, hash.data(), hash.size());
  return hash;
}

void append_hex(std::string& out, const Hash& hash) {
  constexpr char digits[] = "0123456789abcdef";
  for (const unsigned char byte : hash) {
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
}

std::string to_hex(const Hash& hash) {
  std::string out;
  out.reserve(hash.size() * 2);
  append_hex(out, hash);
  return out;
}

std::optional<Hash> hash_from_hex(std::string_view text) {
  Hash hash;
  if (text.size() != hash.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    hash[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return hash;
}

}  // namespace detent
