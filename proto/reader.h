// Reads protobuf's wire format in place, for the paths where unpacking each signal would cost more than all else.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace detent {

/// Walks the fields of one encoded message without copying. After any malformed byte `next` returns false and `ok` is
/// false.
class Reader {
 public:
  explicit Reader(std::string_view bytes)
      : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  /// Moves to the next field. False at the end and on malformed input.
  bool next() {
    if (at_ == end_) return false;
    uint64_t tag = 0;
    if (!short_varint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return fail();
    field_ = static_cast<uint32_t>(tag >> 3);
    wire_ = static_cast<uint32_t>(tag & 7);
    switch (wire_) {
      case 0:
        return varint(number_) || fail();
      case 1:
        return fixed(8);
      case 5:
        return fixed(4);
      case 2: {
        uint64_t size = 0;
        if (!short_varint(size) || size > static_cast<uint64_t>(end_ - at_)) return fail();
        bytes_ = {reinterpret_cast<const char*>(at_), static_cast<size_t>(size)};
        at_ += size;
        return true;
      }
      default:
        return fail();
    }
  }

  bool ok() const { return ok_; }
  uint32_t field() const { return field_; }
  /// 0 varint, 1 fixed 64, 2 length-delimited, 5 fixed 32.
  uint32_t wire() const { return wire_; }
  uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }

 private:
  bool fail() {
    ok_ = false;
    at_ = end_;
    return false;
  }
  bool varint(uint64_t& out) {
    if (at_ != end_ && *at_ < 0x80) {
      out = *at_++;
      return true;
    }
    return long_varint(out);
  }
  /// A tag or a length: protobuf's own parsers take at most five bytes for these, however small the number.
  bool short_varint(uint64_t& out) {
    const uint8_t* const from = at_;
    return varint(out) && at_ - from <= 5;
  }
  bool long_varint(uint64_t& out) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const uint8_t byte = *at_++;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        out = value;
        return true;
      }
    }
    return false;
  }
  bool fixed(size_t size) {
    if (static_cast<size_t>(end_ - at_) < size) return fail();
    number_ = 0;
    std::memcpy(&number_, at_, size);
    at_ += size;
    return true;
  }

  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
  uint32_t field_ = 0, wire_ = 0;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

/// Appends fields in protobuf's wire format to a string.
namespace wire {

inline void varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}
inline size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}
inline void number(std::string& out, uint32_t field, uint64_t value) {
  varint(out, field << 3);
  varint(out, value);
}
inline void bytes(std::string& out, uint32_t field, std::string_view value) {
  varint(out, field << 3 | 2);
  varint(out, value.size());
  out.append(value);
}
/// The bytes that `bytes(out, field, value)` and `number(out, field, value)` append, for `field` below 16.
inline size_t bytes_size(size_t value) { return 1 + varint_size(value) + value; }
inline size_t number_size(uint64_t value) { return 1 + varint_size(value); }

// The same into memory that is known to suffice, for `field` below 16; each returns the place behind what it wrote.
inline char* put_varint(char* at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<char>(value);
  return at;
}
inline char* put_number(char* at, uint32_t field, uint64_t value) {
  *at++ = static_cast<char>(field << 3);
  return put_varint(at, value);
}
/// Of a length-delimited field whose `size` bytes are to follow.
inline char* put_head(char* at, uint32_t field, size_t size) {
  *at++ = static_cast<char>(field << 3 | 2);
  return put_varint(at, size);
}
inline char* put_bytes(char* at, uint32_t field, std::string_view value) {
  at = put_head(at, field, value.size());
  std::memcpy(at, value.data(), value.size());
  return at + value.size();
}

}  // namespace wire

}  // namespace detent
