// A dead man's switch: who is to be heard how often, and who has fallen silent. A plain state machine without clock or
// I/O; one thread. It waits by the monotonic clock; wall times are for display alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace detent {

/// That a source or a worker is to be heard `every` so often; it is silent when it was not for `grace` more.
struct Expectation {
  std::string name;  // unique
  Millis every{0};
  Millis grace{0};
  bool operator==(const Expectation&) const = default;
};

/// The grace where none is said: half of the interval.
inline Millis default_grace(Millis every) { return every / 2; }

/// Each is told once.
struct LivenessEvent {
  enum Kind { kSilent, kHeardAgain, kNoLongerExpected };  // the latter two end the first
  Kind kind = kSilent;
  std::string name;
  Millis every{0};
  Millis last_heard{0};  // wall time, before the silence; 0: never
  Millis since{0};       // wall time from which on it was waited for in vain
  bool operator==(const LivenessEvent&) const = default;
};

/// What must outlive a restart, of one name.
struct LivenessMark {
  std::string name;
  Millis declared{0};      // the interval that it declared by itself; 0: none
  Millis last_heard{0};    // wall time; 0: never. Only as new as the last mark or snapshot
  Millis silent_since{0};  // wall time, where the alarm stands; 0: it does not
  bool operator==(const LivenessMark&) const = default;
};

class Liveness {
 public:
  /// Names that declare an interval by themselves, at most; more are refused.
  static constexpr size_t kMaxDeclared = 4096;
  static constexpr Millis kShortest = std::chrono::seconds{1}, kLongest = std::chrono::hours{366 * 24};
  /// How soon `tick` wants to be called at the latest, and how late a call shows that the process stood still: then
  /// nobody could be heard, and everyone has one whole interval again.
  static constexpr Millis kLook = std::chrono::seconds{30}, kStall = std::chrono::minutes{2};

  /// A mark of the last run. All of them, before anything else.
  void restore(const LivenessMark& mark);

  struct Turn {
    std::vector<LivenessEvent> events;
    std::vector<LivenessMark> marks;   // to be made durable together with what is made of `events`
    std::vector<std::string> removed;  // names whose marks go
    bool refused = false;              // kMaxDeclared
  };

  /// Applies these in place of all former ones of the configuration. What they say of a name goes before what it
  /// declares. The first call begins the waiting: nobody is silent until a whole interval after it.
  Turn configure(const std::vector<Expectation>& expected, Now now);
  /// `name` was heard. Where it says an interval (taken within kShortest and kLongest), it is expected from now on.
  Turn heard(std::string_view name, std::optional<Millis> interval, Now now);
  /// It says that it stops, or the operator does: what it declared no longer counts.
  Turn withdraw(std::string_view name, Now now);
  /// Whether anyone can be heard at all; not while the link to the broker is down, for example. Meanwhile nobody falls
  /// silent, and afterwards everyone has one whole interval again.
  void set_hearing(bool hears, Now now);

  Turn tick(Now now);
  /// When `tick` has something to do (monotonic).
  Millis deadline() const;

  struct View {
    std::string name;
    Millis every{0}, grace{0};
    Millis last_heard{0};    // wall time; 0: never
    Millis silent_since{0};  // wall time; 0: it is not
  };
  std::vector<View> list() const;
  /// All that a snapshot needs.
  std::vector<LivenessMark> marks() const;

 private:
  struct Entry {
    bool configured = false;
    Millis declared{0};
    Millis every{0}, grace{0};
    Millis last_heard{0}, silent_since{0};  // wall
    Millis waits_from{0};                   // monotonic
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  void awake(Now now);
  void wait_anew(Now now);
  static LivenessMark mark_of(const std::string& name, const Entry& entry);
  static void expect_by(Entry& entry, Millis every, Millis grace, Now now);
  static void end_silence(const std::string& name, Entry& entry, LivenessEvent::Kind kind, Turn& turn);
  Entries::iterator drop(Entries::iterator at, Turn& turn);

  Entries entries_;
  size_t declared_ = 0;
  bool hears_ = true;
  std::optional<Millis> last_turn_;  // monotonic
};

}  // namespace detent
