// When scheduled tasks are to be submitted. A plain state machine: the marks of the last run and the time go in; what
// fires now, what was missed, and the marks to keep come out. No clock, no I/O; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/cron.h"
#include "base/time_zone.h"
#include "base/ulid.h"

namespace detent {

/// What becomes of a scheduled time that is seen too late: the process was down, the machine slept, the clock was put
/// forward. Of several the latest alone can be made up for; the others are missed in any case.
struct MissedPolicy {
  enum Kind { kSkip, kOnce, kWithin };
  Kind kind = kSkip;
  Millis window{0};  // kWithin: it fires where it was scheduled no longer ago than this
  bool operator==(const MissedPolicy&) const = default;
};

struct Schedule {
  std::string name;  // unique
  Cron cron;
  TimeZone zone;
  Millis jitter{0};  // at most; whole seconds of it count
  MissedPolicy missed;
  bool operator==(const Schedule&) const = default;
};

/// Scheduled times in a row that did not fire: wall times.
struct MissedRun {
  uint64_t count = 0;
  Millis first{0}, last{0};
  bool operator==(const MissedRun&) const = default;
};

/// What must outlive a restart, of one schedule. Wall times.
struct ScheduleMark {
  std::string name;
  std::string rule;    // expression and zone that the rest is about: another starts anew
  Millis passed{0};    // what was scheduled until then has been dealt with
  Millis fired{0};     // the scheduled time that fired last; 0: none
  MissedRun missed{};  // the latest run of them; it stays visible until the next
  bool operator==(const ScheduleMark&) const = default;
};

struct Firing {
  std::string schedule;
  Millis scheduled{0};  // wall time; without jitter
  Ulid id;              // of the task: the same whenever this time of this schedule fires
  Millis late{0};       // after when it was due
};

/// Told once, when it is noticed.
struct Missed {
  std::string schedule;
  MissedRun run;         // those that are noticed now
  bool made_up = false;  // a later one fires in their place
};

/// How long after its scheduled time (a wall time) it is due. Always the same for one time of one schedule, and never
/// so long that it would meet the next.
Millis jitter_of(const Schedule& schedule, Millis scheduled);

/// The id of the task that one scheduled time of one schedule makes.
Ulid firing_id(std::string_view schedule, Millis scheduled);

class Schedules {
 public:
  /// Seen up to this long after it was due, a time counts as met, whatever the policy.
  static constexpr Millis kOnTime = std::chrono::minutes{1};
  /// A clock that was put back is waited for, so that nothing fires twice, unless by more than this: then it had been
  /// wrong, and the schedules start anew from what it shows. What fired last does not fire again even so.
  static constexpr Millis kLongestWait = std::chrono::hours{24};
  /// What was scheduled longer ago than this is not looked at, nor counted as missed.
  static constexpr Millis kForgotten = std::chrono::hours{400 * 24};
  /// How soon to look again at the latest, since the wall clock may jump.
  static constexpr Millis kLook = std::chrono::seconds{30};

  /// A mark of the last run. All of them, before `configure`.
  void restore(ScheduleMark mark) { marks_.insert_or_assign(mark.name, std::move(mark)); }

  /// Applies these in place of all former ones. One that is new, or whose expression or zone changed, starts from the
  /// next `poll`; the mark of one that is no longer there goes.
  void configure(std::vector<Schedule> schedules);

  struct Turn {
    std::vector<Firing> firings;
    std::vector<Missed> missed;
    /// To be made durable in one batch with what `firings` make: then nothing fires twice, nor is missed, by a crash.
    /// Where it is not one batch, a firing that comes again has the same id.
    std::vector<ScheduleMark> marks;
    std::vector<std::string> removed;  // schedules whose marks go
    Millis look_again{0};              // monotonic
  };
  Turn poll(Now now);

  /// As of the last `poll`, in the order of their names.
  struct View {
    const Schedule& schedule;
    const ScheduleMark& mark;
    Millis next{0};  // wall times: scheduled, and due
    Millis due{0};
  };
  std::vector<View> list() const;
  /// All that a snapshot needs.
  std::vector<ScheduleMark> marks() const;

 private:
  struct Time {
    Millis scheduled{0}, due{0};
  };
  struct Entry {
    Schedule schedule;
    bool fresh = false;    // its mark says nothing yet
    bool changed = false;  // its mark is not durable as it stands
    bool fires = false;    // since `noticed` began
    MissedRun noticed{};   // and not told yet
    Time next{};
  };

  static Time time_after(const Schedule& schedule, Millis passed);
  void start_from(Entry& entry, ScheduleMark& mark, Millis wall);
  bool catch_up(Entry& entry, ScheduleMark& mark, Millis wall, int& steps, Turn& turn);

  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, ScheduleMark, std::less<>> marks_;
  std::vector<std::string> removed_;  // and not told yet
};

}  // namespace detent
