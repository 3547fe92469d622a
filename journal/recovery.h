// What a start makes of the files that the last run left, however it ended.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/catalog.h"
#include "journal/journal.h"
#include "journal/quarantine.h"
#include "journal/snapshot.h"

namespace detent {

/// Used once, by `Journal::open`: look, then (with a fresh segment begun and synced, which holds `tail`) tidy and
/// visit.
class Recovery {
 public:
  Recovery(Disk& disk, const std::string& directory, const JournalOptions& options, const JournalVisitor& visitor);

  /// Finds the segments and where each ends. Fills the catalog; hands the snapshot to the visitor.
  Result<void> look(const std::vector<std::string>& names, Catalog& catalog);

  /// The last batch, where nothing proves that it was synced: it may be in the page cache alone.
  Batch& tail() { return tail_; }
  std::uint64_t next_segment() const { return next_segment_; }
  const std::optional<LogPosition>& snapshot_at() const { return snapshot_at_; }
  /// As `StoredSnapshot::before`.
  std::uint64_t snapshot_before() const { return snapshot_before_; }

  /// Frees what lies behind the end of the last segment. Needs no room, and nothing is read from there again.
  Result<void> cut_unused(Catalog& catalog);
  /// Removes segments without a record, and does the same.
  Result<void> tidy(Catalog& catalog);
  /// Every record of every segment, in order.
  Result<void> visit(Catalog& catalog);

 private:
  Result<void> take_header(std::uint64_t segment, Catalog& catalog);
  Result<void> find_end(Catalog::Segment& segment, bool last);
  Result<void> keep_tail(File& file, const format::BatchHeader& batch);
  Result<void> visit_segment(Catalog::Segment segment, Catalog& catalog);
  void report(Damage damage) const;

  Disk& disk_;
  const std::string directory_;
  const JournalOptions& options_;
  const JournalVisitor& visitor_;
  Quarantine quarantine_;

  std::vector<format::SegmentEnd> ends_;
  std::vector<std::uint64_t> without_header_;
  std::uint64_t next_segment_ = 1;
  std::optional<LogPosition> snapshot_at_;
  std::uint64_t snapshot_before_ = 0;
  Batch tail_;
  std::uint64_t last_ = 0;  // the segment that was open, and where what was written of it ends
  std::uint64_t last_written_to_ = 0;
};

}  // namespace detent
