// Which segments there are and how far each is synced: what the journal's thread writes and its readers look up.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/disk.h"
#include "journal/format.h"

namespace detent {

/// Shared by a Journal and its readers; each function may be called by any thread.
struct Catalog {
  struct Segment {
    format::SegmentHeader header;  // without its ends
    format::SegmentEnd before;     // of them, that of the segment before it
    std::uint64_t end = 0;         // synced up to here
    std::uint64_t chain = 0;
    std::uint64_t records = 0;
    bool records_known = true;
    std::uint64_t file_bytes = 0;
    bool suspect = false;  // a write or sync failed, or damage was found: not to be used again
  };

  Catalog(Disk& the_disk, std::string the_directory) : disk(the_disk), directory(std::move(the_directory)) {}

  std::string path_of(std::uint64_t segment) const { return directory + "/" + format::segment_name(segment); }

  std::optional<Segment> find(std::uint64_t segment) const {
    const std::lock_guard lock(mutex);
    const auto found = segments.find(segment);
    if (found == segments.end()) return std::nullopt;
    return found->second;
  }

  void put(const Segment& segment) {
    const std::lock_guard lock(mutex);
    segments[segment.header.id] = segment;
  }

  std::optional<Segment> take(std::uint64_t segment) {
    const std::lock_guard lock(mutex);
    const auto taken = segments.extract(segment);
    return taken ? std::optional(taken.mapped()) : std::nullopt;
  }

  /// The first segment with this id or a later one.
  std::optional<Segment> at_or_after(std::uint64_t segment) const {
    const std::lock_guard lock(mutex);
    const auto found = segments.lower_bound(segment);
    if (found == segments.end()) return std::nullopt;
    return found->second;
  }

  Disk& disk;
  const std::string directory;
  mutable std::mutex mutex;
  std::map<std::uint64_t, Segment> segments;
};

}  // namespace detent
