// The bytes of a segment (docs/journal-format.md): its header, its batches, their records. Little-endian throughout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "journal/batch.h"

namespace detent::format {

inline constexpr std::uint64_t kSector = 512;                // headers and batches begin at multiples of it
inline constexpr std::uint32_t kSegmentMagic = 0x47535444;   // "DTSG"
inline constexpr std::uint32_t kBatchMagic = 0x54425444;     // "DTBT"
inline constexpr std::uint32_t kSnapshotMagic = 0x4e535444;  // "DTSN"
// Of segments and snapshots and of the records in them: raised wherever an earlier program would misread what is
// written.
inline constexpr std::uint32_t kVersion = 2;
inline constexpr std::uint32_t kOldestVersion = 1;  // that can be read

inline constexpr std::uint64_t whole_sectors(std::uint64_t bytes) { return (bytes + kSector - 1) / kSector * kSector; }

inline constexpr std::uint64_t kUnknownRecords = UINT64_MAX;

/// Where an earlier segment ends: what lies behind it there is not part of the journal.
struct SegmentEnd {
  std::uint64_t segment = 0;
  std::uint64_t end = 0;
  std::uint64_t chain = 0;
  std::uint64_t records = 0;
  bool operator==(const SegmentEnd&) const = default;
};

struct SegmentHeader {
  std::uint64_t id = 0;
  std::uint64_t salt = 0;
  std::uint64_t chain = 0;  // of all before it
  std::uint64_t first = 0;  // offset of the first batch
  std::vector<SegmentEnd> ends;
};

/// Of the ends in a header, that of the segment which was open before; of segment 0 where it names none.
SegmentEnd newest_of(const std::vector<SegmentEnd>& ends);

/// Sets `header.first` and returns the bytes up to there: the header twice, each copy a whole number of sectors.
std::string encode(SegmentHeader& header, std::uint32_t version = kVersion);
/// From the beginning of a segment's file; the second copy where the first is damaged; none where both are, or where
/// the header is another segment's.
std::optional<SegmentHeader> decode_segment_header(std::string_view bytes, std::uint64_t id);

/// The version that wrote it, where that is a later one than this code knows: never to be taken for damage.
std::optional<std::uint32_t> later_version(std::string_view bytes);

struct BatchHeader {
  std::uint32_t magic = kBatchMagic;
  std::uint32_t crc = 0;  // of all behind it in this header
  std::uint64_t salt = 0;
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;          // of this header in its file
  std::uint64_t chain = 0;           // of all before it: it was synced before this was written
  std::uint64_t records_before = 0;  // in this segment
  std::uint32_t length = 0;          // of the records with their headers
  std::uint32_t count = 0;
  std::uint32_t body_crc = 0;  // of the records' headers
  std::uint32_t reserved = 0;

  std::uint64_t end() const { return offset + whole_sectors(sizeof(BatchHeader) + length); }
};
static_assert(sizeof(BatchHeader) == Batch::kHeaderBytes);

struct RecordHeader {
  std::uint32_t length = 0;
  std::uint32_t crc = 0;  // of salt, offset, length and bytes
};
static_assert(sizeof(RecordHeader) == Batch::kRecordHeaderBytes);

/// Fills in the headers of the records and of the batch, for its place. `bytes` is a batch's buffer without padding.
BatchHeader seal(char* bytes, std::size_t size, std::uint32_t count, const SegmentHeader& segment, std::uint64_t offset,
                 std::uint64_t chain, std::uint64_t records_before);

/// The header at `offset` of the segment, from its first bytes; none where it is damaged or not this segment's.
std::optional<BatchHeader> decode_batch_header(std::string_view bytes, const SegmentHeader& segment,
                                               std::uint64_t offset);
/// All records whole; `batch` holds the header and all of its records.
bool body_is_whole(const BatchHeader& header, std::string_view batch);
/// The chain after the batch.
std::uint64_t chain_after(const BatchHeader& header);

std::uint32_t record_crc(std::uint64_t salt, std::uint32_t offset, std::string_view bytes);
RecordHeader record_header(const char* at);

std::string segment_name(std::uint64_t id);
std::optional<std::uint64_t> segment_of(std::string_view name);

}  // namespace detent::format
