// The files that segments are made of: ready ones kept in stock, and a reserve of bytes for when the disk is full.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "journal/journal.h"

namespace detent {

/// The journal's thread takes and gives back, a housekeeping thread makes; every function may be called beside the
/// others, but the making ones only by one thread.
class SegmentStore {
 public:
  SegmentStore(Disk& disk, std::string directory, const JournalOptions& options)
      : disk_(disk), directory_(std::move(directory)), options_(options) {}

  /// At start: takes in what is ready and removes what is half made. `names`: what the directory holds.
  Result<void> take_stock(const std::vector<std::string>& names);

  struct Blank {
    std::unique_ptr<File> file;
    std::string path;
    std::uint64_t bytes = 0;  // there already
  };
  bool has_spare() const;
  /// A ready file, or an empty one where none is in stock.
  Result<Blank> take();
  /// Makes a dropped segment's file a ready one, if one is wanted and it fits: renames it, and returns the name it has
  /// then, with which it goes to the stock once the directory is synced. None: the caller removes it. `on_the_way`:
  /// renamed, but not in stock yet.
  Result<std::optional<std::string>> rename_to_spare(const std::string& path, std::uint64_t bytes,
                                                     std::size_t on_the_way);
  void stock(std::vector<std::string> names);

  Result<bool> prepare_spare(bool in_haste);
  Result<bool> refill_reserve();
  /// Frees the reserve's bytes for what settles and commits.
  Result<void> give_up_reserve();
  Result<Space> space() const;
  std::uint64_t bytes() const;

 private:
  Result<bool> has_room_for(std::uint64_t bytes) const;
  Result<void> make_zeros(const std::string& name, std::uint64_t bytes, bool in_haste);
  std::string path_of(const std::string& name) const { return directory_ + "/" + name; }
  std::string fresh_name();

  Disk& disk_;
  const std::string directory_;
  const JournalOptions options_;
  mutable std::mutex mutex_;
  std::vector<std::string> spares_;
  std::uint64_t next_name_ = 1;
  bool reserve_held_ = false;
};

}  // namespace detent
