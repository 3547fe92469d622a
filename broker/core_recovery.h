// From a snapshot and the journal's records back to the state before the restart, and to a snapshot from there.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/admission.h"
#include "broker/admitted.h"
#include "broker/alarms.h"
#include "broker/deliveries.h"
#include "journal/id_window.h"
#include "journal/journal.h"

namespace detent {

/// Signals by their numbers.
struct MissingSignals {
  static constexpr size_t kNamed = 5;
  uint64_t count = 0;
  std::vector<uint64_t> first;  // at most kNamed, ascending
  /// "7, 9 and 3 more"
  std::string text() const;
};

/// In this order: `restore` where there is a snapshot, `replay` of each record, `replay_dead` of each of the dead
/// letters' journal, `finish`.
class CoreRecovery {
 public:
  CoreRecovery(Admission& admission, Deliveries& deliveries, Alarms& alarms, IdWindow& ids)
      : admission_(admission), deliveries_(deliveries), alarms_(alarms), ids_(ids) {}

  void restore(std::string_view snapshot);
  /// `after_snapshot`: not yet part of the snapshot's state.
  void replay(std::string_view record, const RecordPosition& place, bool after_snapshot);
  void replay_dead(std::string_view dead_record);
  /// The undelivered signals of which the snapshot or the numbering tells, and which the journal has lost.
  MissingSignals finish(Now now);

 private:
  struct Past {  // a channel, as the snapshot knows it
    struct Known {
      uint64_t delivery = 0;
      uint32_t attempts = 0;
      std::map<uint32_t, std::string> parts;
    };
    bool is_settled(uint64_t seq) const;

    uint64_t floor = 0;
    std::vector<std::pair<uint64_t, uint64_t>> settled;  // [first, last), ascending
    std::map<uint64_t, Known> open;                      // of those that were handed out, by seq
    std::set<uint64_t> settled_since;                    // of those that were open
  };
  struct Letter {
    std::vector<uint64_t> seqs;
    std::string cause;
    std::map<uint32_t, std::string> parts;
  };

  void replay_admitted(const AdmittedView& admitted, const RecordPosition& place, bool after_snapshot);
  void replay_settled(Channel& channel, uint64_t seq);
  /// What is open by the snapshot, was not settled since, and has neither a record nor a dead letter.
  std::set<uint64_t> without_record();
  bool is_settled(const std::string& channel, uint64_t seq) const;

  Admission& admission_;
  Deliveries& deliveries_;
  Alarms& alarms_;
  IdWindow& ids_;
  std::map<std::string, Past, std::less<>> channels_;
  std::map<DeliveryKey, Letter> letters_;                    // dead letters that are kept
  std::set<std::pair<std::string, uint64_t>> settled_dead_;  // since the snapshot: by channel and number
  uint64_t snapshot_next_ = 1;
  uint64_t open_ = 0;               // deliveries that the snapshot knows as open and no record was found for yet
  MissingSignals numbers_missing_;  // behind the snapshot
};

/// The state, for a snapshot.
std::string snapshot_of(const Admission& admission, const Deliveries& deliveries, const Alarms& alarms);

}  // namespace detent
