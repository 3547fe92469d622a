#include "broker/tails.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/units.h"
#include "broker/admitted.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

// A tail: how much is read in a bite (the loop has other guests), what ends a frame, which no signal makes longer than
// a peer takes, and how many times that may be on its way: behind each goes a PING, and its PONG shows that it was
// read.
constexpr size_t kTailRead = 4 << 20;
constexpr size_t kTailRecord = 1024;  // what each record costs beside its bytes
constexpr size_t kTailFrame = 1 << 20;
constexpr int kTailSignals = 1024;
constexpr uint32_t kTailPings = 4;
static_assert(kTailFrame + kMaxSignal + kTailFrame < kMaxFrame);

}  // namespace

bool Tails::feed(const LogPosition& synced) {
  for (const auto& change : core_.tail_changes) {
    if (change.stop) {
      tails_.erase(change.session);
      continue;
    }
    const RecordPosition from =
        change.since_ms ? RecordPosition{} : RecordPosition{synced.segment, static_cast<uint32_t>(synced.offset), 0};
    tails_.insert_or_assign(change.session,
                            Tail{change.channel, change.type, journal_.tail(from), change.since_ms, change.also_from});
  }
  core_.tail_changes.clear();
  bool more = false;
  for (auto& [session, tail] : tails_) more = feed(session, tail, synced) || more;
  return more;
}

bool Tails::feed(uint64_t session, Tail& tail, const LogPosition& synced) {
  if (core_.sessions().unanswered_pings(session) >= kTailPings) return false;  // the PONG wakes us
  Tailed tailed;
  bool more = true;
  size_t read = 0, filled = 0;
  while (more && read < kTailRead && filled < kTailFrame && tailed.signals_size() < kTailSignals) {
    const auto next = tail.records->next(synced);
    if (!next) {
      more = is_lost(next.error());  // then it goes on behind the damage; else it is tried again in a later turn
      if (more) spdlog::warn("tail: {}", next.error().what);
      if (more) tailed.set_missed(tailed.missed() + 1);
      continue;
    }
    more = next->has_value();
    if (!more) {
      tailed.set_caught_up(tail.since_ms && !std::exchange(tail.caught_up, true));
      break;
    }
    read += (*next)->bytes.size() + kTailRecord;
    const auto admitted = read_admitted((*next)->bytes);
    if (!admitted || admitted->at_ms < tail.since_ms) continue;
    if (!tail.type.empty()) {
      const SignalHeader head = read_header(admitted->signal);
      if (!glob_matches(tail.type, head.type) && !tail.also_from.contains(head.source)) continue;
    }
    const auto& channels = admitted->channels;
    if (!tail.channel.empty() && std::find(channels.begin(), channels.end(), tail.channel) == channels.end()) continue;
    auto& signal = *tailed.add_signals();
    signal.set_seq(admitted->seq);
    signal.set_journalled_ms(admitted->at_ms);
    for (const auto name : channels) signal.add_channels(std::string(name));
    signal.set_signal(std::string(admitted->signal));
    filled += signal.ByteSizeLong();
  }
  if (tailed.signals_size() || tailed.missed() || tailed.caught_up())
    core_.sessions().send(session, Frame::kTailed, tailed.SerializeAsString());
  tail.unpinged += filled;
  if (tail.unpinged >= kTailFrame) {
    tail.unpinged = 0;
    core_.sessions().ping(session);
  }
  return more;
}

}  // namespace detent
