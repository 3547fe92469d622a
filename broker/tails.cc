// `detent tail`: the journal read again for those who asked, from a moment on.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/units.h"
#include "broker/broker.h"
#include "broker/records.h"
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

void Broker::feed_tails() {
  for (const auto& change : core_->tail_changes) {
    if (change.stop) {
      tails_.erase(change.session);
      continue;
    }
    auto tailing = std::make_unique<Tailing>(Tailing{change.channel, change.type, nullptr, change.since_ms});
    const RecordPosition from =
        change.since_ms ? RecordPosition{} : RecordPosition{synced_.segment, static_cast<uint32_t>(synced_.offset), 0};
    tailing->tail = journal_->tail(from);
    tails_.insert_or_assign(change.session, std::move(tailing));
  }
  core_->tail_changes.clear();
  bool more = false;
  for (auto& [session, tailing] : tails_) more = feed(session, *tailing) || more;
  if (more) socket_.wake();
}

bool Broker::feed(uint64_t session, Tailing& tailing) {
  if (core_->unanswered_pings(session) >= kTailPings) return false;  // the PONG wakes us
  Tailed tailed;
  bool more = true;
  size_t read = 0, filled = 0;
  while (more && read < kTailRead && filled < kTailFrame && tailed.signals_size() < kTailSignals) {
    const auto next = tailing.tail->next(synced_);
    if (!next) {
      more = is_lost(next.error());  // then it goes on behind the damage; else it is tried again in a later turn
      if (more) spdlog::warn("tail: {}", next.error().what);
      if (more) tailed.set_missed(tailed.missed() + 1);
      continue;
    }
    more = next->has_value();
    if (!more) {
      tailed.set_caught_up(tailing.since_ms && !std::exchange(tailing.caught_up, true));
      break;
    }
    read += (*next)->bytes.size() + kTailRecord;
    TailedSignal signal;
    if (!read_admitted((*next)->bytes, signal) || signal.journalled_ms() < tailing.since_ms) continue;
    if (!tailing.type.empty() && !glob_matches(tailing.type, read_header(signal.signal()).type)) continue;
    if (!tailing.channel.empty() &&
        std::find(signal.channels().begin(), signal.channels().end(), tailing.channel) == signal.channels().end()) {
      continue;
    }
    filled += signal.ByteSizeLong();
    *tailed.add_signals() = std::move(signal);
  }
  if (tailed.signals_size() || tailed.missed() || tailed.caught_up())
    core_->send(session, Frame::kTailed, tailed.SerializeAsString());
  tailing.unpinged += filled;
  if (tailing.unpinged >= kTailFrame) {
    tailing.unpinged = 0;
    core_->ping(session);
  }
  return more;
}

}  // namespace detent
