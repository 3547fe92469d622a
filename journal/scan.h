// Reading a segment from batch to batch: what recovery and those who follow the journal share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/format.h"

namespace detent {

/// A view into a file that reads ahead, never past `limit`. Memory is the window or the largest single piece asked for.
class Window {
 public:
  explicit Window(std::size_t size) : size_(size) {}

  /// `length` bytes at `offset`, fewer where the limit or the file ends first; good until the next call.
  Result<std::string_view> get(File& file, std::uint64_t offset, std::uint64_t length, std::uint64_t limit);
  void forget() { held_ = 0; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::uint64_t start_ = 0;
  std::size_t held_ = 0;
};

/// Bytes of a segment that were synced and cannot be read.
struct Lost {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  bool records_known = true;
  std::string why;
};

/// Walks the batches of one segment. Where a batch is damaged, the single records of it that are whole are handed on,
/// and the walk goes on at the next batch: a batch's header stands for the sync of all before it.
class SegmentScan {
 public:
  enum class Found { kRecord, kLost, kEnd };

  /// Looks at nothing from `limit` on. All below `synced_to` is known to have been synced; behind it, what does not
  /// parse and is followed by nothing that does is a torn tail, and the end. `records_synced`: below `synced_to`, where
  /// known.
  SegmentScan(File& file, const format::SegmentHeader& header, std::uint64_t limit, std::uint64_t synced_to,
              std::optional<std::uint64_t> records_synced, std::size_t window);

  Result<Found> next();

  /// Of the record found: its header's offset, and its bytes until the next call.
  std::uint32_t offset() const { return record_offset_; }
  std::string_view bytes() const { return record_; }
  const Lost& lost() const { return lost_; }

  /// The last whole batch passed.
  const std::optional<format::BatchHeader>& batch() const { return batch_; }
  /// Where the next batch is looked for, and the chain and count of records up to there.
  std::uint64_t position() const { return position_; }
  std::uint64_t chain() const { return chain_; }
  std::uint64_t records() const { return records_; }
  bool records_known() const { return records_known_; }
  /// At the end: the offset behind the torn tail's bytes, where there are any.
  std::uint64_t torn_to() const { return torn_to_; }

  /// More has been synced since: the walk goes on to there.
  void extend(std::uint64_t limit) { limit_ = synced_to_ = limit; }

 private:
  struct Piece {
    std::uint32_t offset;
    std::uint32_t length;
  };

  Result<std::string_view> get(std::uint64_t offset, std::uint64_t length) {
    return window_.get(file_, offset, length, limit_);
  }
  Result<std::optional<format::BatchHeader>> header_at(std::uint64_t offset);
  Result<std::optional<format::BatchHeader>> header_after(std::uint64_t offset);
  Result<bool> take_batch(const format::BatchHeader& header);
  Result<Found> pass_damage(const std::optional<format::BatchHeader>& header);
  Result<void> save_records(std::uint64_t begin, std::uint64_t end);
  Result<std::uint64_t> last_used_byte(std::uint64_t begin);

  File& file_;
  format::SegmentHeader segment_;
  std::uint64_t limit_;
  std::uint64_t synced_to_;
  std::optional<std::uint64_t> records_synced_;
  Window window_;

  std::uint64_t position_;
  std::uint64_t chain_;
  bool chain_known_ = true;
  std::uint64_t records_ = 0;
  bool records_known_ = true;
  std::uint64_t torn_to_ = 0;
  std::optional<format::BatchHeader> batch_;

  std::string_view body_;  // of the batch being handed on, and where in it the next record is
  std::size_t body_at_ = 0;
  std::vector<Piece> saved_;  // whole records of a damaged batch, handed on one by one
  std::size_t saved_at_ = 0;

  std::uint32_t record_offset_ = 0;
  std::string_view record_;
  Lost lost_;
};

}  // namespace detent
