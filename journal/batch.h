// Records on their way to the journal: built by one thread, then handed to the journal's thread whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace detent {

/// The records of one write. The buffer holds the bytes exactly as the journal writes them, with room for its header in
/// front, so that a record is copied once. Owned by one thread at a time; keeps its memory over `clear`.
class Batch {
 public:
  static constexpr std::uint32_t kHeaderBytes = 64;
  static constexpr std::uint32_t kRecordHeaderBytes = 8;
  static constexpr std::size_t kMaxBytes = 1u << 30;

  /// Adds a record (one byte or more); returns its offset, to which `Appended::base_offset` is added.
  std::uint32_t append(std::string_view record);

  /// In pieces: room for a record of at most `most` bytes, to be written in place, and then `finish` with how many were
  /// used. The pointer is good until then; no other record can begin in between.
  char* begin(std::size_t most);
  std::uint32_t finish(std::size_t used);

  /// Bytes that the write will have, but for the padding at its end.
  std::size_t bytes() const { return size_; }
  std::uint32_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  /// Forgets the records and keeps the memory.
  void clear();
  std::size_t capacity() const { return capacity_; }

  /// The journal's: the buffer with its header's room in front, and padded with zeros to whole `sectors`.
  char* sealing_room();
  std::string_view padded(std::size_t sector);

 private:
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };

  void grow(std::size_t size);

  std::unique_ptr<char, Free> buffer_;
  std::size_t capacity_ = 0;
  std::size_t size_ = kHeaderBytes;
  std::uint32_t count_ = 0;
  bool begun_ = false;
};

}  // namespace detent
