#include "dispatch/liveness.h"

#include <algorithm>
#include <utility>

namespace detent {

void Liveness::restore(const LivenessMark& mark) {
  Entry& entry = entries_[mark.name];
  entry.declared = mark.declared;
  entry.every = mark.declared;
  entry.grace = default_grace(mark.declared);
  entry.last_heard = mark.last_heard;
  entry.silent_since = mark.silent_since;
  declared_ =
      std::count_if(entries_.begin(), entries_.end(), [](const auto& e) { return e.second.declared > Millis{0}; });
}

Liveness::Turn Liveness::configure(const std::vector<Expectation>& expected, Now now) {
  awake(now);
  Turn turn;
  for (auto& [name, entry] : entries_) entry.configured = false;
  for (const Expectation& one : expected) {
    const auto [at, added] = entries_.try_emplace(one.name);
    Entry& entry = at->second;
    entry.configured = true;
    expect_by(entry, one.every, one.grace, now);
    if (added) turn.marks.push_back(mark_of(at->first, entry));
  }
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    if (entry.configured) {
      ++at;
    } else if (entry.declared > Millis{0}) {
      expect_by(entry, entry.declared, default_grace(entry.declared), now);
      ++at;
    } else {
      at = drop(at, turn);
    }
  }
  return turn;
}

Liveness::Turn Liveness::heard(std::string_view name, std::optional<Millis> interval, Now now) {
  awake(now);
  Turn turn;
  if (interval) interval = std::clamp(*interval, kShortest, kLongest);
  auto at = entries_.find(name);
  const bool declares = interval && (at == entries_.end() || at->second.declared == Millis{0});
  if (declares && declared_ == kMaxDeclared) {
    turn.refused = true;
    interval.reset();
  }
  if (at == entries_.end()) {
    if (!interval) return turn;
    at = entries_.try_emplace(std::string(name)).first;
  }
  Entry& entry = at->second;
  bool changed = false;
  if (interval && *interval != entry.declared) {
    if (declares) ++declared_;
    entry.declared = *interval;
    if (!entry.configured) expect_by(entry, *interval, default_grace(*interval), now);
    changed = true;
  }
  if (entry.silent_since > Millis{0}) {
    end_silence(at->first, entry, LivenessEvent::kHeardAgain, turn);
    changed = true;
  }
  entry.last_heard = now.wall;
  entry.waits_from = now.mono;
  if (changed) turn.marks.push_back(mark_of(at->first, entry));
  return turn;
}

Liveness::Turn Liveness::withdraw(std::string_view name, Now now) {
  awake(now);
  Turn turn;
  const auto at = entries_.find(name);
  if (at == entries_.end() || at->second.declared == Millis{0}) return turn;
  if (!at->second.configured) {
    drop(at, turn);
    return turn;
  }
  --declared_;
  at->second.declared = Millis{0};
  turn.marks.push_back(mark_of(at->first, at->second));
  return turn;
}

void Liveness::set_hearing(bool hears, Now now) {
  awake(now);
  if (hears && !hears_) wait_anew(now);
  hears_ = hears;
}

Liveness::Turn Liveness::tick(Now now) {
  awake(now);
  Turn turn;
  if (!hears_) return turn;
  for (auto& [name, entry] : entries_) {
    if (entry.silent_since > Millis{0} || now.mono < entry.waits_from + entry.every + entry.grace) continue;
    entry.silent_since = std::max(now.wall - (now.mono - entry.waits_from), Millis{1});
    turn.events.push_back({LivenessEvent::kSilent, name, entry.every, entry.last_heard, entry.silent_since});
    turn.marks.push_back(mark_of(name, entry));
  }
  return turn;
}

Millis Liveness::deadline() const {
  Millis soonest = last_turn_.value_or(Millis{0}) + kLook;
  if (!hears_) return soonest;
  for (const auto& [name, entry] : entries_) {
    if (entry.silent_since == Millis{0}) soonest = std::min(soonest, entry.waits_from + entry.every + entry.grace);
  }
  return soonest;
}

std::vector<Liveness::View> Liveness::list() const {
  std::vector<View> views;
  for (const auto& [name, entry] : entries_)
    views.push_back({name, entry.every, entry.grace, entry.last_heard, entry.silent_since});
  return views;
}

std::vector<LivenessMark> Liveness::marks() const {
  std::vector<LivenessMark> all;
  for (const auto& [name, entry] : entries_) all.push_back(mark_of(name, entry));
  return all;
}

/// The process ran on without a pause since the last call; else nobody is blamed for it.
void Liveness::awake(Now now) {
  if (!last_turn_ || now.mono - *last_turn_ > kStall) wait_anew(now);
  last_turn_ = now.mono;
}

void Liveness::wait_anew(Now now) {
  for (auto& [name, entry] : entries_) entry.waits_from = now.mono;
}

LivenessMark Liveness::mark_of(const std::string& name, const Entry& entry) {
  return {name, entry.declared, entry.last_heard, entry.silent_since};
}

void Liveness::expect_by(Entry& entry, Millis every, Millis grace, Now now) {
  if (entry.every == every && entry.grace == grace) return;
  entry.every = every;
  entry.grace = grace;
  entry.waits_from = now.mono;
}

void Liveness::end_silence(const std::string& name, Entry& entry, LivenessEvent::Kind kind, Turn& turn) {
  const Millis since = std::exchange(entry.silent_since, Millis{0});
  turn.events.push_back({kind, name, entry.every, entry.last_heard, since});
}

Liveness::Entries::iterator Liveness::drop(Entries::iterator at, Turn& turn) {
  if (at->second.silent_since > Millis{0}) end_silence(at->first, at->second, LivenessEvent::kNoLongerExpected, turn);
  if (at->second.declared > Millis{0}) --declared_;
  turn.removed.push_back(at->first);
  return entries_.erase(at);
}

}  // namespace detent
