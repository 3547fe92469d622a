#include "base/base64.h"

#include <openssl/evp.h>

#include <algorithm>

namespace detent {
namespace {

unsigned char* bytes_of(char* text) { return reinterpret_cast<unsigned char*>(text); }
const unsigned char* bytes_of(const char* text) { return reinterpret_cast<const unsigned char*>(text); }

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  const std::size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4 + 1);  // OpenSSL ends it with a NUL
  EVP_EncodeBlock(bytes_of(out.data() + start), bytes_of(bytes.data()), static_cast<int>(bytes.size()));
  out.pop_back();
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(bytes_of(bytes.data()), bytes_of(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // It counts the padding's zeros too, and bears with white space and stray bits: writing it again shows both.
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(size) - std::min<std::size_t>(padding, static_cast<std::size_t>(size)));
  std::string again;
  append_base64(again, bytes);
  if (again != text) return std::nullopt;
  return bytes;
}

}  // namespace detent
