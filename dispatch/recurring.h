// The [[schedule]]s at work: what fires is submitted, and how far each has come is kept in the batch that holds it, so
// that no crash makes it none or two. The loop alone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dispatch/core.h"
#include "dispatch/schedule.h"
#include "dispatch/schedule_config.h"
#include "proto/signal_builder.h"

namespace detent {

class SchedulesMoved;
class ScheduleState;

class Recurring {
 public:
  /// Throws Failure with one line where the task of a schedule would be over the limits of a signal.
  Recurring(ScheduleConfig config, Dispatch& core, SignalBuilder& builder, uint64_t seed);

  // ---- recovery, in this order
  void restore(const TaskSnapshot& snapshot);
  /// What the snapshot does not know yet.
  void replay(const SchedulesMoved& moved);
  void recovered();

  // ---- a turn
  /// Submits what is due.
  void tick(Now now);
  Millis deadline() const { return paused_ ? Millis::max() : next_; }
  /// Nothing is submitted meanwhile; what is due is late then, or missed.
  void pause(bool paused) { paused_ = paused; }
  void add_to(TaskSnapshot& snapshot) const;

  /// Submits the task of a schedule, also of a disabled one, beside those that are due. The same `id` makes one task.
  /// An error where there is no such schedule, or whether the id is known cannot be told at the moment.
  Result<Ulid> run(std::string_view name, std::optional<Ulid> id, Now now);

  // ---- to look at
  /// As they stand in the file.
  const std::vector<ScheduleEntry>& entries() const { return config_.schedules; }
  /// Those that are enabled.
  std::vector<Schedules::View> views() const { return schedules_.list(); }
  /// Its next times, the first of them first. None where it is disabled.
  struct Time {
    const Schedule* schedule = nullptr;
    Millis scheduled{0}, due{0};  // wall times
  };
  std::vector<Time> next(std::string_view name, size_t count) const;
  /// That there is no such schedule, and which there are.
  Error unknown(std::string_view name) const;

 private:
  const ScheduleEntry* find(std::string_view name) const;
  /// `scheduled`: none where it was run by hand.
  Result<Built> request(const ScheduleEntry& entry, const Ulid& id, std::optional<Millis> scheduled) const;
  void remember(const ScheduleState& state);
  static void set(ScheduleState& state, const ScheduleMark& mark);
  void keep(const Schedules::Turn& turn);

  const ScheduleConfig config_;
  Dispatch& core_;
  SignalBuilder& builder_;
  UlidSource ids_;
  Schedules schedules_;
  std::map<std::string, ScheduleMark, std::less<>> marks_;  // durable, or in the batch
  std::optional<Schedules::Turn> turn_;                     // not all of which was submitted
  size_t submitted_ = 0;                                    // firings of it
  Millis next_{0};                                          // monotonic
  bool paused_ = false;
};

}  // namespace detent
