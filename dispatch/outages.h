// Who is expected to be heard, and what is said of those who are not: workers by their reports, sources by their
// signals. What is to be said is durable before it is said, and is said until the broker has it, each with an id of its
// own that never changes. The loop alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dispatch/core.h"
#include "dispatch/expect_config.h"
#include "dispatch/listener.h"
#include "dispatch/liveness.h"
#include "dispatch/uplink.h"
#include "proto/signal_builder.h"

namespace detent {

class LivenessChanged;
class LivenessNotice;
class LivenessState;

class Outages {
 public:
  Outages(const ExpectConfig& config, Dispatch& core, SignalBuilder& builder);

  // ---- recovery, in this order
  void restore(const TaskSnapshot& snapshot);
  /// What the snapshot does not know yet.
  void replay(const LivenessChanged& changed);
  void recovered(Now now);

  // ---- a turn
  /// A worker has reported. One that drains is about to go, and no longer expected.
  void heard(const Worker& worker, Now now);
  /// Takes what was heard of sources, and whether any can be.
  void heard(Listener& listener, Now now);
  void tick(Now now);
  Millis deadline() const { return std::min(sources_.deadline(), workers_.deadline()); }
  void add_to(TaskSnapshot& snapshot) const;
  /// Publishes what is durable, and takes note of what the broker has.
  void say(Uplink& uplink);
  /// The core's work was taken; it is durable.
  void taken() { taken_ = next_number_; }
  void journalled() { durable_ = taken_; }

  /// It is not expected any more, but where [[expect]] names it. An error where nobody is, of that name.
  Result<void> forget(const std::string& name, Now now);

  // ---- to look at
  std::vector<Liveness::View> sources() const { return sources_.list(); }
  std::vector<Liveness::View> workers() const { return workers_.list(); }
  bool is_listening() const { return listening_; }
  /// Whether all was said.
  bool all_said() const { return unsaid_.empty(); }

 private:
  enum Kind { kSource, kWorker };
  void remember(const LivenessState& state);
  void take(Kind kind, const Liveness::Turn& turn, Now now);

  const ExpectConfig config_;
  std::set<std::string, std::less<>> configured_;
  Dispatch& core_;
  SignalBuilder& builder_;
  Liveness sources_, workers_;
  bool listening_ = false, refused_ = false;

  std::map<uint64_t, std::string> unsaid_;  // by number: encoded LivenessNotices
  uint64_t next_number_ = 1;
  uint64_t taken_ = 1, durable_ = 1;   // those below are
  std::map<uint64_t, uint64_t> said_;  // published and not acknowledged: the notice's number, by ticket
  std::set<uint64_t> saying_;          // the same numbers
  std::map<std::pair<int, std::string>, LivenessMark> marks_;  // until `recovered`
};

}  // namespace detent
