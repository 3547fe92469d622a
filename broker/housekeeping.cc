// What the broker does once a second: segments that nobody needs, spares, the disk's room, the ledger's lag.
#include <malloc.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "broker/admin.h"
#include "broker/broker.h"
#include "proto/wire.pb.h"

namespace detent {

Drops Broker::due_drops() {
  if (!std::exchange(drop_due_, false)) return {};
  return to_drop(*journal_, *dead_, *core_, *ids_, ledger_->complete_segment());
}

void Broker::drop(const Drops& drops) {
  if (!drops.segments.empty()) {
    if (auto dropped = journal_->drop(drops.segments); !dropped)
      spdlog::warn("segments cannot be dropped: {}", dropped.error().what);
  }
  if (!drops.dead.empty()) {
    if (auto dropped = dead_->drop(drops.dead); !dropped)
      spdlog::warn("segments cannot be dropped: {}", dropped.error().what);
  }
}

void Broker::prepare_spares(bool in_haste) {
  for (;;) {
    const auto prepared = journal_->prepare_spare(in_haste);
    if (!prepared) spdlog::warn("no spare segment: {}", prepared.error().what);
    if (!prepared || !*prepared) return;
  }
}

void Broker::probe_failing() {
  constexpr int kMaxProbes = 16;
  for (int i = 0; i < kMaxProbes && !core_->failing().empty(); ++i) {
    auto next = core_->failing().upper_bound(probed_);
    if (next == core_->failing().end()) next = core_->failing().begin();
    probed_ = next->first;
    const RecordRef at = next->second.at;
    if (bodies_->read({at.segment, at.offset, at.size})) core_->readable(probed_, now_);
  }
}

void Broker::check_disk() {
  if (std::exchange(snapshot_failed_, false)) snapshot_due_ = snapshot_again_ = true;
  if (looking_after_disk_) return;
  looking_after_disk_ = true;
  // What a burst has left in the allocator goes back to the system once it is over.
  const bool quiet = syncs_ == syncs_seen_, trim = quiet && !trimmed_;
  trimmed_ = quiet;
  syncs_seen_ = syncs_;
  if (trim) ids_->trim();
  chores_.post([this, trim] {
    if (trim) malloc_trim(0);
    auto space = journal_->space();
    if (space && !space->low) {
      prepare_spares(false);
      if (!space->reserve_held) {
        if (auto refilled = journal_->refill_reserve(); !refilled)
          spdlog::warn("no reserve: {}", refilled.error().what);
      }
      space = journal_->space();
    }
    post([this, space] {
      looking_after_disk_ = false;
      if (space) {
        take_space(*space);
      } else {
        spdlog::warn("free space cannot be read: {}", space.error().what);
      }
      if (auto pruned = ids_->prune(static_cast<uint64_t>((now_.wall - std::chrono::hours{24 * 90}).count()));
          !pruned) {
        spdlog::warn("old id files stay: {}", pruned.error().what);
      }
      if (const auto [segment, ids] = ids_->again(); ids) {
        chores_.post([this, segment = segment, ids = ids] { write_ids(segment, *ids); });
      }
    });
  });
}

void Broker::take_space(const Space& space) {
  space_ = space;
  check_publishers();
  if (space_.low) {
    core_->raise("disk-low", fmt::format("the broker's disk is low: {} MiB free", space_.free >> 20),
                 "Publishers are refused until there is room again; what was taken in is safe.", false, now_);
  } else {
    core_->clear_alarm("disk-low", now_);
  }
}

void Broker::hold(int reason, std::string text) {
  held_ = text;
  core_->pause_publishers(reason, std::move(text));
}

void Broker::check_ledger() {
  check_publishers();
  ledger_->status(Admin(*this).status_markdown());
}

void Broker::check_publishers() {
  // What the ledger has not taken up, in whole segments: near enough for a limit of gigabytes.
  uint64_t lag = 0;
  for (const auto& segment : journal_->segments()) {
    if (segment.id > ledger_->complete_segment()) lag += segment.bytes;
  }
  if (space_.low) {
    hold(DISK_LOW,
         fmt::format("the broker's disk is low ({} MiB free): keep the signal and try again", space_.free >> 20));
  } else if (lag > config_.ledger.max_lag) {
    hold(LEDGER_BEHIND, fmt::format("the ledger is {} MiB behind: keep the signal and try again", lag >> 20));
  } else {
    hold(0, {});
  }
}

}  // namespace detent
